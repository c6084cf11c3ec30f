// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/program.hpp"

#include <sstream>

#include "base/failure.hpp"
#include "base/process.hpp"

namespace ipidefer {

namespace bp = boost::process;

ProgramResult run_program(const std::filesystem::path& program,
                          const std::vector<std::string>& arguments)
{
    try {
        bp::ipstream output;
        bp::child child{
            bp::exe = program.string(), bp::args = arguments,
            bp::std_in<bp::null, (bp::std_out & bp::std_err)> output};
        std::ostringstream text;
        text << output.rdbuf();
        child.wait();
        return {child.exit_code(), std::move(text).str()};
    } catch (const bp::process_error& error) {
        throw Failure{Exit::kCannotRun, "cannot run " + program.string() +
                                            ": " + error.code().message()};
    }
}

}  // namespace ipidefer

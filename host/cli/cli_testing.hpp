// SPDX-License-Identifier: GPL-2.0-or-later
// The program itself, on VMs of this process: what an operator types, and what
// then happens to the VM.
#pragma once

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "base/program.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::cli::test {

using nlohmann::json;
using segment::test::kSyncCore;
using segment::test::TestVm;
using Arguments = std::vector<std::string>;

inline constexpr int kDone = static_cast<int>(Exit::kDone);
inline constexpr int kCannotRun = static_cast<int>(Exit::kCannotRun);
inline constexpr int kDefect = static_cast<int>(Exit::kDefect);
inline constexpr int kNotPossible = static_cast<int>(Exit::kNotPossible);

class CliTest : public ::testing::Test {
  protected:
    ProgramResult run(Arguments arguments)
    {
        arguments.insert(arguments.begin(),
                         {"--shm-dir", folder_.path().string()});
        return run_program(IPIDEFER, arguments);
    }
    json run_json(const Arguments& arguments)
    {
        const auto result = run(arguments);
        EXPECT_EQ(result.status, kDone) << result.output;
        return json::parse(result.output);
    }
    std::vector<json> run_json_lines(const Arguments& arguments)
    {
        const auto result = run(arguments);
        EXPECT_EQ(result.status, kDone) << result.output;
        std::vector<json> all;
        std::istringstream in{result.output};
        for (std::string line; std::getline(in, line);)
            all.push_back(json::parse(line));
        return all;
    }
    void die_with_segment(const std::string& name)
    {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            const TestVm vm{folder_.path(), name};
            ::_exit(0);
        }
        ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    }

    shm::test::TemporaryFolder folder_;
};

}  // namespace ipidefer::cli::test

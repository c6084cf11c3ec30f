// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/provenance.hpp"

#include <sys/utsname.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/program.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/qemu_command.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// What our builds leave beside a result: one line for each thing that went
/// into it, the patches and the configuration with their hashes.
constexpr char kFingerprint[] = "fingerprint";

json sha256(const fs::path& file)
{
    constexpr std::size_t kDigits = 64;
    try {
        const auto sum =
            run_program("/usr/bin/sha256sum", {"--", file.string()});
        if (sum.status == 0 && sum.output.size() > kDigits)
            return sum.output.substr(0, kDigits);
    } catch (const Failure&) {
    }
    return nullptr;
}

json fingerprint(const fs::path& folder)
{
    std::error_code error;
    const fs::path file = folder / kFingerprint;
    if (!fs::is_regular_file(file, error)) return nullptr;
    json lines = json::array();
    const std::string text = read_whole(file);
    for (const auto line : lines_of(text)) lines.push_back(std::string{line});
    return lines;
}

json host()
{
    utsname system{};
    ::uname(&system);
    return {{"kernel", std::string{system.sysname} + ' ' + system.release},
            {"cpus", std::thread::hardware_concurrency()}};
}

std::string now()
{
    const std::time_t time =
        std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm utc{};
    ::gmtime_r(&time, &utc);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}

}  // namespace

json provenance(const Options& options, const std::vector<std::string>& command)
{
    return {
        {"ipidefer", kVersion},
        {"date", now()},
        {"command_line", shell_quoted(command)},
        {"accelerator", accelerator(options.accel)},
        {"host", host()},
        {"kernel",
         {{"path", options.kernel.string()},
          {"sha256", sha256(options.kernel)},
          {"built_from", fingerprint(options.kernel.parent_path())}}},
        {"qemu",
         {{"path", options.qemu.string()},
          {"sha256", sha256(options.qemu)},
          {"built_from",
           fingerprint(options.qemu.parent_path().parent_path())}}},
    };
}

}  // namespace ipidefer::lab

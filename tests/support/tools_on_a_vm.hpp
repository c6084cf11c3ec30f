// SPDX-License-Identifier: GPL-2.0-or-later
// Tools on a VM: what the CLI says of a VM "web1", for tests that run one.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/program.hpp"

namespace ipidefer::test {

class ToolsOnAVm final {
  public:
    using Arguments = std::vector<std::string>;

    /// @param cli    the program `ipidefer`
    /// @param folder of segments
    /// @param vcpus  those whose verdicts are counted
    ToolsOnAVm(std::filesystem::path cli, std::filesystem::path folder,
               std::vector<unsigned> vcpus)
        : cli_{std::move(cli)},
          folder_{std::move(folder)},
          vcpus_{std::move(vcpus)}
    {
    }

    [[nodiscard]] ProgramResult run(Arguments arguments) const
    {
        arguments.insert(arguments.begin(), {"--shm-dir", folder_.string()});
        return run_program(cli_, arguments);
    }
    /// Throws for another exit status than 0.
    [[nodiscard]] nlohmann::json json(Arguments arguments) const
    {
        arguments.emplace_back("--json");
        const auto result = run(std::move(arguments));
        if (result.status != 0)
            throw std::runtime_error{"ipidefer failed\n" + result.output};
        return nlohmann::json::parse(result.output);
    }

    /// Verdicts whose name starts so.
    [[nodiscard]] std::uint64_t count(const std::string& prefix) const
    {
        std::uint64_t sum = 0;
        const nlohmann::json vm = json({"stat", "web1"})[0];
        for (const unsigned vcpu : vcpus_)
            for (const auto& row : vm["vcpus"][vcpu]["counters"])
                for (const auto& [verdict, count] : row.items())
                    if (verdict.starts_with(prefix))
                        sum += count.get<std::uint64_t>();
        return sum;
    }
    [[nodiscard]] std::uint64_t suppressed() const
    {
        return count("deferred") + count("coalesced");
    }

    /// Throws when it does not come true: after far longer than anything takes.
    template <typename Done>
    void wait_until(const std::string& what, Done done) const
    {
        using Clock = std::chrono::steady_clock;
        const auto end = Clock::now() + std::chrono::minutes{2};
        while (!done()) {
            if (Clock::now() > end)
                throw std::runtime_error{what + ": not within two minutes\n" +
                                         run({"stat", "web1"}).output};
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
    }

  private:
    std::filesystem::path cli_;
    std::filesystem::path folder_;
    std::vector<unsigned> vcpus_;
};

}  // namespace ipidefer::test

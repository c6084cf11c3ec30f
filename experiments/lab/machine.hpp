// SPDX-License-Identifier: GPL-2.0-or-later
// One QEMU with its guest: started, watched, asked, and always ended.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "experiments/lab/host_time.hpp"

namespace ipidefer::lab {

struct MachineSpec {
    std::filesystem::path qemu;
    std::vector<std::string> arguments;
    /// Where the sockets of qemu_command.hpp are to be.
    std::filesystem::path sockets;
    /// Where console.log and qemu.log go.
    std::filesystem::path logs;
    /// How long the guest may give no sign of life.
    std::chrono::seconds patience;
    /// As excuse() has it.
    bool emulated_host = false;
};

/// There is no verdict on the guest, as the host did not let it run.
class HostStarved : public Failure {
  public:
    HostStarved(Starvation found, const std::string& what, std::string detail)
        : Failure{Exit::kCannotRun, what, std::move(detail)},
          starvation_{std::move(found)}
    {
    }
    [[nodiscard]] const Starvation& starvation() const noexcept
    {
        return starvation_;
    }

  private:
    Starvation starvation_;
};

class Machine {
  public:
    /// Starts QEMU. Throws a Failure.
    Machine(const boost::asio::any_io_executor& executor,
            const MachineSpec& spec);
    /// Kills it if it still runs.
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    /// Of QEMU.
    [[nodiscard]] pid_t pid() const;

    // All of these throw a Failure as soon as something is wrong: the console
    // shows a defect, QEMU ends, or patience does; a HostStarved where that is
    // the host's doing. `doing` is for the message.

    /// Until QEMU is connected; returns its version.
    [[nodiscard]] boost::asio::awaitable<std::string> connect();
    /// Until the agent has the guest ready; returns its first message.
    [[nodiscard]] boost::asio::awaitable<nlohmann::json> boot();
    [[nodiscard]] boost::asio::awaitable<nlohmann::json> ask_guest(
        nlohmann::json request, std::string doing);
    [[nodiscard]] boost::asio::awaitable<std::optional<nlohmann::json>> ask_vmm(
        std::string command, nlohmann::json arguments = nullptr);
    /// Until QEMU has ended because the guest switched itself off. That may
    /// take as long as anything else: nothing is measured any more, so a slow
    /// end says nothing, and one that never comes is a guest that hangs.
    [[nodiscard]] boost::asio::awaitable<void> power_off();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

[[nodiscard]] boost::asio::awaitable<void> sleep_for(
    std::chrono::milliseconds time);

}  // namespace ipidefer::lab

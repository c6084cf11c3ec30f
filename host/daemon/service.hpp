// SPDX-License-Identifier: GPL-2.0-or-later
// Service: what systemd wants to hear of us, and what it gives us: sockets that
// it listens on, a watchdog, the journal. Started by somebody else, we have
// none of it, and nothing here has an effect.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ipidefer::daemon {

class Service final {
  public:
    /// Throws Failure when systemd gave us sockets that we do not know.
    Service();

    /// Listening sockets of systemd's, each to be taken once: of the metrics,
    /// over TCP, and of the control socket. Nothing: we listen ourselves.
    [[nodiscard]] std::optional<int> take_metrics();
    [[nodiscard]] std::optional<int> take_control();

    /// Started, and whenever configuration has been read again.
    static void ready();
    static void reloading();
    static void stopping();
    /// For `systemctl status`.
    static void status(const std::string& text);
    /// We still turn: to be called at least each second.
    static void alive();

  private:
    struct Listener {
        int fd;
        int family;
    };
    [[nodiscard]] std::optional<int> take(bool local);

    std::vector<Listener> listeners_;
};

/// A line for the operator, and what machines may look for: in the journal,
/// each field is one of its own. Elsewhere the text goes to standard error.
/// @param priority of syslog(3), LOG_INFO for example
/// @param fields   names in capitals, and values of any bytes
void log(int priority, const std::string& text,
         const std::vector<std::pair<std::string, std::string>>& fields = {});

}  // namespace ipidefer::daemon

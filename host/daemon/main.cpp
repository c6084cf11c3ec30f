// SPDX-License-Identifier: GPL-2.0-or-later
// ipideferd: watches the VMs of a host, for Prometheus and for policies.
#include <CLI/CLI.hpp>
#include <csignal>
#include <string>

#include "base/command_line.hpp"
#include "base/version.hpp"
#include "host/daemon/config.hpp"
#include "host/daemon/daemon.hpp"

namespace {

int run(int argc, char** argv)
{
    CLI::App app{"ipideferd: watch VMs that defer IPIs", "ipideferd"};
    app.set_version_flag("--version", ipidefer::version_text("ipideferd"));
    std::string file = "/etc/ipidefer/ipideferd.json";
    bool check = false;
    app.add_option("--config", file, "configuration")->capture_default_str();
    app.add_flag("--check", check, "read the configuration and end");
    app.footer(
        "SIGHUP reads policies again, SIGTERM ends.\n"
        "Exit status: 0 ended in order, 1 could not run.");
    if (const auto status = ipidefer::parse_command_line(app, argc, argv))
        return *status;
    if (check)
        (void)ipidefer::daemon::read_config(file);
    else
        ipidefer::daemon::run_daemon(file);
    return 0;
}

}  // namespace

int main(int argc, char** argv)
{
    // Whoever reads what we print may go, as the journal does when it restarts.
    (void)std::signal(SIGPIPE, SIG_IGN);
    return ipidefer::main_of("ipideferd", [&] { return run(argc, argv); });
}

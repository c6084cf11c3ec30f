// SPDX-License-Identifier: GPL-2.0-or-later
// ipideferd: watches the VMs of a host, for Prometheus and for policies.
#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <iostream>
#include <string>

#include "base/failure.hpp"
#include "base/version.hpp"
#include "host/daemon/config.hpp"
#include "host/daemon/daemon.hpp"

namespace {

int run(int argc, char** argv)
{
    CLI::App app{"ipideferd: watch VMs that defer IPIs", "ipideferd"};
    app.set_version_flag("--version",
                         std::string{"ipideferd "} + ipidefer::kVersion);
    std::string file = "/etc/ipidefer/ipideferd.json";
    bool check = false;
    app.add_option("--config", file, "configuration")->capture_default_str();
    app.add_flag("--check", check, "read the configuration and end");
    app.footer(
        "SIGHUP reads policies again, SIGTERM ends.\n"
        "Exit status: 0 ended in order, 1 could not run.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
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
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "ipideferd: " << error.what() << '\n';
        return 1;
    }
}

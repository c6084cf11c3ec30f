// SPDX-License-Identifier: GPL-2.0-or-later
#include <csignal>

#include "host/cli/command.hpp"

namespace ipidefer::cli {
namespace {

volatile std::sig_atomic_t signalled = 0;

bool install() noexcept
{
    // Without SA_RESTART: sleeps end.
    struct sigaction action {};
    action.sa_handler = [](int) { signalled = 1; };
    sigemptyset(&action.sa_mask);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        // What is ignored stays so, as SIGHUP under nohup(1).
        struct sigaction before {};
        if (::sigaction(number, nullptr, &before) == 0 &&
            before.sa_handler != SIG_IGN)
            ::sigaction(number, &action, nullptr);
    }
    return true;
}

}  // namespace

bool interrupted() noexcept
{
    static const bool installed = install();
    return installed && signalled != 0;
}

}  // namespace ipidefer::cli

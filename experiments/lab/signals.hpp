// SPDX-License-Identifier: GPL-2.0-or-later
// Signals that end what the lab does, so that it can still tidy up.
#pragma once

#include <signal.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>

#include "base/failure.hpp"

namespace ipidefer::lab {

/// @return the number of the signal that asked us to end
inline boost::asio::awaitable<int> any_signal()
{
    boost::asio::signal_set signals{co_await boost::asio::this_coro::executor,
                                    SIGINT, SIGTERM};
    co_return co_await signals.async_wait(boost::asio::use_awaitable);
}

/// Says so.
/// @return the status to end with, as a shell has it
inline int ended_by_signal(int number)
{
    std::cerr << "ipidefer: ended by signal " << number << '\n';
    return kSignalled + number;
}

}  // namespace ipidefer::lab

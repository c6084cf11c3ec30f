// SPDX-License-Identifier: GPL-2.0-or-later
// How our coroutines wait: errors are values, as most are expected.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace ipidefer {

inline constexpr auto kAwait =
    boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace ipidefer

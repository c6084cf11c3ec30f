// SPDX-License-Identifier: GPL-2.0-or-later
// A loop of Asio that tests run until something has happened in it.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <functional>

namespace ipidefer::libvirt::test {

/// Far longer than anything takes; a mutant's test, which is meant to wait in
/// vain, is told to give up sooner.
inline std::chrono::seconds patience()
{
    const char* const seconds = std::getenv("IPIDEFER_PATIENCE");
    return std::chrono::seconds{seconds == nullptr ? 60 : std::atoi(seconds)};
}

class LoopTest : public ::testing::Test {
  protected:
    /// Run until it holds.
    bool run_until(const std::function<bool()>& holds)
    {
        const auto end = std::chrono::steady_clock::now() + patience();
        while (!holds() && std::chrono::steady_clock::now() < end) {
            io_.restart();
            io_.run_one_for(std::chrono::milliseconds{20});
        }
        return holds();
    }

    boost::asio::io_context io_;
};

}  // namespace ipidefer::libvirt::test

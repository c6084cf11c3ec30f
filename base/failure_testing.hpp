// SPDX-License-Identifier: GPL-2.0-or-later
// Failures that tests expect.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/failure.hpp"

namespace ipidefer {

/// What `run` is refused with, or "" if it is not.
template <class Run>
std::string refusal_of(Run run)
{
    try {
        (void)run();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.exit(), Exit::kCannotRun);
        return failure.what();
    }
    return "";
}

}  // namespace ipidefer

// SPDX-License-Identifier: GPL-2.0-or-later
// Boost.Process as this project uses it: header-only, on std::filesystem.
#pragma once

#ifndef BOOST_PROCESS_USE_STD_FS
#define BOOST_PROCESS_USE_STD_FS 1
#endif

#include <unistd.h>

#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/io.hpp>
#include <boost/process/pipe.hpp>

namespace ipidefer {

/// For a child before it executes a program: the program gets the standard
/// streams and nothing else. bp::limit_handles looks for what is open in
/// /dev/fd, which a chroot or a container may lack. Nothing is closed at once,
/// as Boost.Process still needs its pipe to say that the program cannot be run.
/// A kernel before 5.11 does not know the flag; then what was opened without
/// O_CLOEXEC is inherited, which is nothing of ours.
inline void inherit_standard_streams_only() noexcept
{
    constexpr unsigned kFirst = STDERR_FILENO + 1;
    (void)::close_range(kFirst, ~0u, CLOSE_RANGE_CLOEXEC);
}

}  // namespace ipidefer

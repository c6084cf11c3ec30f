// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/provenance.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/scratch.hpp"

namespace ipidefer::lab {
namespace {

using nlohmann::json;

TEST(Provenance, KernelIsHashedAndItsFingerprintRead)
{
    const Scratch scratch;
    Options options;
    options.kernel = scratch.path() / "bzImage";
    std::ofstream{options.kernel} << "abc";
    std::ofstream{scratch.path() / "fingerprint"}
        << "source linux-source-6.12 6.12.1\nconfig 0123\n";
    const json kernel = provenance(options, {"ipidefer"})["kernel"];
    // FIPS 180-4's own example.
    EXPECT_EQ(
        kernel["sha256"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(kernel["built_from"],
              json({"source linux-source-6.12 6.12.1", "config 0123"}));
}

TEST(Provenance, WhatWasBuiltElsewhereHasNoFingerprint)
{
    const Scratch scratch;
    Options options;
    options.qemu = scratch.path() / "bin" / "qemu-system-x86_64";
    const json qemu = provenance(options, {"ipidefer"})["qemu"];
    EXPECT_TRUE(qemu["sha256"].is_null());
    EXPECT_TRUE(qemu["built_from"].is_null());
}

TEST(Provenance, CommandLineCanBePasted)
{
    const json from = provenance(Options{}, {"ipidefer", "--append", "a b"});
    EXPECT_EQ(from["command_line"], "ipidefer --append 'a b'");
}

}  // namespace
}  // namespace ipidefer::lab

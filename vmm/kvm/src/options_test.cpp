// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/options.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/failure.hpp"
#include "base/failure_testing.hpp"
#include "vmm/kvm/src/kvm.hpp"
#include "vmm/kvm/src/memory.hpp"

namespace ipidefer::vmm {
namespace {

RawOptions good()
{
    RawOptions raw;
    raw.guest = "guest.elf";
    raw.cpus = 4;
    raw.isolated = "1-2";
    return raw;
}

std::string refusal(const RawOptions& raw)
{
    return refusal_of([&] { return check_options(raw); });
}

TEST(Options, DefaultsAreThoseOfTheCore)
{
    const auto options = check_options(good());
    const auto& policy = options.machine.policy;
    EXPECT_TRUE(*policy.enabled && *policy.user && *policy.guest);
    EXPECT_FALSE(*policy.idle);
    EXPECT_EQ(policy.isolated, (CpuSet{1, 2}));
    EXPECT_EQ(policy.vectors.size(), 223u);
    for (const auto& [vector, allowed] : policy.vectors) EXPECT_TRUE(allowed);
    EXPECT_EQ(options.machine.ram_bytes, 64u << 20);
}

TEST(Options, RefusalsNameOptionValueAndLimit)
{
    auto raw = good();
    raw.guest = "";
    EXPECT_EQ(refusal(raw), "--guest: not given");
    raw = good();
    raw.cpus = 255;
    EXPECT_EQ(refusal(raw), "--cpus: 255 is not within 1 and 254");
    raw = good();
    raw.isolated = "1-4";
    EXPECT_EQ(refusal(raw), "--isolated '1-4': '4' is not within 0 and 3");
    raw = good();
    raw.vectors = "31";
    EXPECT_EQ(refusal(raw), "--vectors '31': '31' is not within 32 and 254");
    raw = good();
    raw.memory = "1M";
    EXPECT_EQ(refusal(raw), "--mem: '1M' is not within 2M and 3G");
    raw.memory = "18446744073709551615G";
    EXPECT_NE(refusal(raw), "");
    raw.memory = "64";
    EXPECT_NE(refusal(raw), "");
    raw = good();
    raw.user = "yes";
    EXPECT_EQ(refusal(raw), "--user: 'yes' is neither on nor off");
    raw = good();
    raw.pin = "0,1";
    EXPECT_EQ(refusal(raw), "--pin: '0,1' names 2 host CPUs for 4 vCPUs");
    raw = good();
    raw.timeout = 0;
    EXPECT_EQ(refusal(raw), "--timeout: 0 is not within 1 and 86400 seconds");
    raw = good();
    raw.load = "0x4000000";
    EXPECT_EQ(refusal(raw),
              "--load: '0x4000000' is not an address below 67108864");
}

RawOptions with_segment()
{
    RawOptions raw = good();
    raw.segment = "on";
    raw.name = "vm";
    return raw;
}

TEST(Options, SegmentIsOffUnlessAskedFor)
{
    EXPECT_FALSE(check_options(good()).machine.segment);
    const auto segment = check_options(with_segment()).machine.segment;
    ASSERT_TRUE(segment);
    EXPECT_EQ(segment->name, "vm");
    EXPECT_EQ(segment->mode, mode_t{0600});
    EXPECT_EQ(segment->group, static_cast<gid_t>(-1));
    EXPECT_EQ(segment->trace_entries, 16384u);
}

TEST(Options, SegmentTakesModeGroupAndAge)
{
    auto raw = with_segment();
    raw.segment_mode = "640";
    raw.segment_group = "root";
    raw.max_age = "10ms";
    raw.trace = "on";
    const auto machine = check_options(raw).machine;
    EXPECT_EQ(machine.segment->mode, mode_t{0640});
    EXPECT_EQ(machine.segment->group, gid_t{0});
    EXPECT_EQ(machine.policy.max_age, std::chrono::milliseconds{10});
    EXPECT_TRUE(machine.trace);
    raw.segment_group = "4711";
    EXPECT_EQ(check_options(raw).machine.segment->group, gid_t{4711});
}

TEST(Options, SegmentRefusalsNameOptionValueAndLimit)
{
    auto raw = with_segment();
    raw.name = "";
    EXPECT_EQ(refusal(raw),
              "--name: '' is no name for a segment: that has 1 to 127 bytes");
    raw.name = std::string(128, 'x');
    EXPECT_NE(refusal(raw), "");
    raw = with_segment();
    raw.segment = "yes";
    EXPECT_EQ(refusal(raw), "--segment: 'yes' is neither on nor off");
    for (const char* mode : {"0", "1000", "8", "", "rw"}) {
        raw = with_segment();
        raw.segment_mode = mode;
        EXPECT_EQ(refusal(raw), std::string{"--segment-mode: '"} + mode +
                                    "' is not an octal number from 1 to 777");
    }
    raw = with_segment();
    raw.segment_group = "no such group";
    EXPECT_EQ(refusal(raw),
              "--segment-group: 'no such group' is neither a group nor the "
              "number of one");
    raw = with_segment();
    raw.trace_entries = 3;
    EXPECT_EQ(
        refusal(raw),
        "--trace-entries: '3' is neither 0 nor a power of two up to 1048576");
    raw = good();
    raw.max_age = "10ms";
    EXPECT_EQ(refusal(raw), "--max-age: '10ms' needs --segment on");
    raw = good();
    raw.trace = "on";
    EXPECT_EQ(refusal(raw), "--trace: 'on' needs --segment on");
    raw = good();
    raw.name = "foo";
    EXPECT_EQ(refusal(raw), "--name: 'foo' needs --segment on");
    raw = good();
    raw.segment_mode = "9";
    EXPECT_EQ(refusal(raw), "--segment-mode: '9' needs --segment on");
    raw = good();
    raw.segment_dir = "/tmp";
    EXPECT_EQ(refusal(raw), "--segment-dir: '/tmp' needs --segment on");
    raw = good();
    raw.segment_group = "root";
    EXPECT_EQ(refusal(raw), "--segment-group: 'root' needs --segment on");
    raw = good();
    raw.trace_entries = 1024;
    EXPECT_EQ(refusal(raw), "--trace-entries: '1024' needs --segment on");
    for (const char* age : {"10", "ms", "-1ms", "1000001s", ""}) {
        raw = with_segment();
        raw.max_age = age;
        EXPECT_TRUE(refusal(raw).starts_with("--max-age: ")) << age;
    }
}

TEST(GuestMemory, WritableWordsAreAlignedAndInRam)
{
    const GuestMemory memory{4u << 20};
    EXPECT_NE(memory.writable_word(0), nullptr);
    EXPECT_NE(memory.writable_word((4u << 20) - 4), nullptr);
    for (const std::uint64_t gpa : std::initializer_list<std::uint64_t>{
             std::uint64_t{1}, std::uint64_t{4} << 20, (4ull << 20) - 2,
             kBootInfoGpa, ~0ull, ~0ull - 3})
        EXPECT_EQ(memory.writable_word(gpa), nullptr) << gpa;
}

TEST(GuestMemory, CopiesAllOrNothing)
{
    const GuestMemory memory{4u << 20};
    std::byte to[8] = {};
    memory.ram()[100] = std::byte{7};
    EXPECT_TRUE(memory.copy_from(100, to));
    EXPECT_EQ(to[0], std::byte{7});
    EXPECT_TRUE(memory.copy_from(kBootInfoGpa, to));
    to[0] = std::byte{9};
    for (const std::uint64_t gpa : std::initializer_list<std::uint64_t>{
             (4ull << 20) - 7, ~0ull - 7, ~0ull, kBootInfoGpa - 1,
             kBootInfoGpa + kBootInfoBytes - 7})
        EXPECT_FALSE(memory.copy_from(gpa, to)) << gpa;
    EXPECT_EQ(to[0], std::byte{9});
}

TEST(Probe, SaysInOneLineWhyThereIsNoKvm)
{
    const auto absent = probe_kvm("/nonexistent");
    EXPECT_FALSE(absent.present);
    EXPECT_EQ(absent.line, "kvm: no: /nonexistent: No such file or directory");
    const auto other = probe_kvm("/dev/null");
    EXPECT_FALSE(other.sufficient);
    EXPECT_EQ(other.line, "kvm: no: API version -1, not 12");
}

TEST(Probe, TellsBackendsApart)
{
    namespace fs = std::filesystem;
    const fs::path root =
        fs::path{testing::TempDir()} / "ipidefer-vmm-sys-module";
    fs::remove_all(root);
    EXPECT_EQ(backend_of(root), Backend::kUnknown);
    fs::create_directories(root / "kvm_pvm");
    EXPECT_EQ(backend_of(root), Backend::kEmulating);
    fs::create_directories(root / "kvm_amd");
    EXPECT_EQ(backend_of(root), Backend::kWhole);
    fs::remove_all(root);
}

}  // namespace
}  // namespace ipidefer::vmm

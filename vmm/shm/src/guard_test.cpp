// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <ipidefer/shm.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "temporary_folder.hpp"

namespace ipidefer::shm {
namespace {

constexpr std::uint8_t kVector = 0xf1;
constexpr std::uint32_t kWork = 0x100;

class GuardTest : public ::testing::Test {
  protected:
    void SetUp() override
    {
        ASSERT_EQ(ipidefer_shm_guard(nullptr), 0);
        ipidefer_shm_options options{};
        options.directory = folder_.c_str();
        options.name = "vm";
        options.vcpus = 2;
        options.ring_entries = 16;
        options.group = static_cast<gid_t>(-1);
        shm_ = ipidefer_shm_create(&options, &error_);
        ASSERT_NE(shm_, nullptr) << error_.text;
        ASSERT_EQ(ipidefer_shm_publish(shm_, &error_), 0) << error_.text;
    }
    void TearDown() override { ipidefer_shm_destroy(shm_); }

    test::TemporaryFolder folder_;
    ipidefer_shm_error error_{};
    ipidefer_shm* shm_ = nullptr;
};

// I7: whoever may write the segment may truncate it.
TEST_F(GuardTest, TruncatedSegmentDeliversEverythingAndTheVmLives)
{
    ipidefer_vm* vm = ipidefer_shm_vm(shm_);
    ipi_defer_binding binding{};
    binding.word_gpa = 0x1000;
    binding.accept_mask = 0x10000;
    binding.work_bit = kWork;
    binding.vector = kVector;
    std::uint32_t word = 0;
    std::uint32_t* const words[] = {&word};
    ASSERT_EQ(ipidefer_bind(vm, 1, &binding, words, 1, nullptr), IPIDEFER_OK);
    ASSERT_EQ(ipidefer_set_isolated(vm, 1, true), IPIDEFER_OK);
    ipidefer_set_contexts(vm, IPIDEFER_CONTEXTS_ALL);
    ipidefer_set_trace(vm, IPIDEFER_TRACE_ALL);
    ASSERT_EQ(ipidefer_decide(vm, 1, kVector), IPIDEFER_DEFERRED);

    std::filesystem::resize_file(folder_.path() / "ipidefer.vm", 0);
    EXPECT_EQ(ipidefer_decide(vm, 1, kVector), IPIDEFER_DELIVERED_POLICY);
    EXPECT_FALSE(ipidefer_enabled(vm));
    EXPECT_FALSE(ipidefer_tracing(vm, IPIDEFER_TRACE_ALL));
    ipidefer_shm_set_clock(shm_);
    ipidefer_unbind(vm, 1);
}

TEST_F(GuardTest, ReaderOfATruncatedSegmentSeesZeroes)
{
    ipidefer_shm_map* map =
        ipidefer_shm_open(folder_.c_str(), "vm", false, &error_);
    ASSERT_NE(map, nullptr) << error_.text;
    const auto* header =
        static_cast<const ipidefer_segment*>(ipidefer_shm_memory(map));
    EXPECT_EQ(header->magic, IPIDEFER_SEGMENT_MAGIC);
    EXPECT_FALSE(ipidefer_shm_truncated(map));
    std::filesystem::resize_file(folder_.path() / "ipidefer.vm", 0);
    EXPECT_EQ(__atomic_load_n(&header->magic, __ATOMIC_RELAXED), 0u);
    EXPECT_TRUE(ipidefer_shm_truncated(map));
    ipidefer_shm_close(map);
}

void touch_truncated_mapping_of_somebody_else()
{
    std::FILE* file = std::tmpfile();
    if (file == nullptr) std::_Exit(1);
    void* memory =
        ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, ::fileno(file), 0);
    if (memory == MAP_FAILED) std::_Exit(2);
    std::printf("%d\n", *static_cast<volatile int*>(memory));
}

TEST(GuardDeathTest, OtherBusErrorsEndTheProcessAsBefore)
{
    EXPECT_EXIT(
        {
            ::signal(SIGBUS, SIG_DFL);
            if (ipidefer_shm_guard(nullptr) != 0) std::_Exit(3);
            touch_truncated_mapping_of_somebody_else();
        },
        ::testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace ipidefer::shm

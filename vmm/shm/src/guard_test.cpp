// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <ipidefer/shm.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "vmm/shm/tests/temporary_folder.hpp"

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

    [[nodiscard]] std::filesystem::path file() const
    {
        return folder_.path() /
               (std::string{"ipidefer."} + ipidefer_shm_id(shm_));
    }
    ipidefer_shm_map* open()
    {
        const ipidefer_shm_place place{folder_.c_str(), nullptr, 0};
        return ipidefer_shm_open(&place, ipidefer_shm_id(shm_), false, &error_);
    }

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

    std::filesystem::resize_file(file(), 0);
    EXPECT_EQ(ipidefer_decide(vm, 1, kVector), IPIDEFER_DELIVERED_POLICY);
    EXPECT_FALSE(ipidefer_enabled(vm));
    EXPECT_FALSE(ipidefer_tracing(vm, IPIDEFER_TRACE_ALL));
    ipidefer_shm_set_clock(shm_);
    ipidefer_unbind(vm, 1);
}

TEST_F(GuardTest, ReaderOfATruncatedSegmentSeesZeroes)
{
    ipidefer_shm_map* map = open();
    ASSERT_NE(map, nullptr) << error_.text;
    const auto* header =
        static_cast<const ipidefer_segment*>(ipidefer_shm_memory(map));
    EXPECT_EQ(header->magic, IPIDEFER_SEGMENT_MAGIC);
    EXPECT_FALSE(ipidefer_shm_truncated(map));
    std::filesystem::resize_file(file(), 0);
    EXPECT_EQ(__atomic_load_n(&header->magic, __ATOMIC_RELAXED), 0u);
    EXPECT_TRUE(ipidefer_shm_truncated(map));
    ipidefer_shm_close(map);
}

// The handler's list is as long as it must be.
TEST_F(GuardTest, EachOfThousandsOfMappingsSurvives)
{
    constexpr std::size_t kMappings = 1500;
    std::vector<ipidefer_shm_map*> maps;
    for (std::size_t i = 0; i < kMappings; ++i) {
        maps.push_back(open());
        ASSERT_NE(maps.back(), nullptr) << i << ' ' << error_.text;
    }
    std::filesystem::resize_file(file(), 0);
    std::size_t survived = 0;
    for (ipidefer_shm_map* map : maps) {
        const auto* header =
            static_cast<const ipidefer_segment*>(ipidefer_shm_memory(map));
        if (__atomic_load_n(&header->magic, __ATOMIC_RELAXED) == 0 &&
            ipidefer_shm_truncated(map))
            ++survived;
        ipidefer_shm_close(map);
    }
    EXPECT_EQ(survived, kMappings);
    (void)ipidefer_enabled(ipidefer_shm_vm(shm_));
}

// The handler walks the list while other threads change it. What makes this
// fail is a handler that follows pointers to what they free: the address
// sanitizer's build of this test sees that.
TEST_F(GuardTest, FaultsBesideMappingsThatComeAndGo)
{
    constexpr int kRounds = 300;
    std::atomic<bool> stop{false};
    std::vector<std::thread> others;
    for (int i = 0; i < 2; ++i)
        others.emplace_back([&] {
            const ipidefer_shm_place place{folder_.c_str(), nullptr, 0};
            while (!stop.load())
                ipidefer_shm_close(ipidefer_shm_open(
                    &place, ipidefer_shm_id(shm_), false, nullptr));
        });
    const std::filesystem::path copy = folder_.path() / "ipidefer.c~00000000";
    const ipidefer_shm_place place{folder_.c_str(), nullptr, 0};
    int survived = 0;
    for (int i = 0; i < kRounds; ++i) {
        std::ofstream{copy}.close();
        std::filesystem::resize_file(copy, 8192);
        ipidefer_shm_map* map =
            ipidefer_shm_open(&place, "c~00000000", false, &error_);
        ASSERT_NE(map, nullptr) << error_.text;
        std::filesystem::resize_file(copy, 0);
        const auto* header =
            static_cast<const ipidefer_segment*>(ipidefer_shm_memory(map));
        if (__atomic_load_n(&header->magic, __ATOMIC_RELAXED) == 0 &&
            ipidefer_shm_truncated(map))
            ++survived;
        ipidefer_shm_close(map);
    }
    stop.store(true);
    for (std::thread& other : others) other.join();
    EXPECT_EQ(survived, kRounds);
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

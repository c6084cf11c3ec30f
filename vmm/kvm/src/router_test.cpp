// SPDX-License-Identifier: GPL-2.0-or-later
// Router and interceptor together: what an ICR write does to inboxes and words.
#include "vmm/kvm/src/router.hpp"

#include <gtest/gtest.h>
#include <ipidefer/segment.h>

#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <vector>

#include "base/failure.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::vmm {
namespace {

constexpr unsigned kVcpus = 3;
constexpr std::uint64_t kTable = 0x10'0000;
constexpr std::uint64_t kWord = 0x12'0000;
constexpr std::uint8_t kTyped = 0xf5;
constexpr std::uint32_t kAccepts = 2;
constexpr std::uint32_t kBit = 0x100;

struct FakeKick final : Kickable {
    void kick() override { ++kicks; }
    unsigned kicks = 0;
};

class RouterTest : public testing::Test {
  protected:
    explicit RouterTest(const std::optional<SegmentConfig>& segment = {})
        : interceptor{policy(), false, kVcpus, memory, segment}
    {
        for (unsigned i = 0; i < kVcpus; ++i) {
            ipidefer_apic apic{};
            apic.id = i;
            apic.x2apic = apic.enabled = true;
            apic.ldr = 1u << i;
            router.connect(i, kicks[i], apic);
        }
    }

    static terms::PolicyChange policy()
    {
        terms::PolicyChange policy;
        policy.isolated = CpuSet{1, 2};
        return policy;
    }
    static ipi_defer_binding binding()
    {
        ipi_defer_binding b{};
        b.word_gpa = kWord;
        b.accept_mask = b.state_mask = 3;
        b.accept_value = kAccepts;
        b.work_bit = kBit;
        b.vector = kTyped;
        b.state_user = 2;
        b.state_guest = 3;
        b.state_idle = 1;
        return b;
    }
    void put_table(const ipi_defer_binding& b, std::uint64_t gpa = kTable)
    {
        std::memcpy(memory.ram().data() + gpa, &b, sizeof(b));
    }
    [[nodiscard]] bool bind(unsigned vcpu, std::uint64_t gpa = kTable)
    {
        return router.write_register(
            vcpu, gpa | 1u << IPI_DEFER_REG_COUNT_SHIFT | IPI_DEFER_REG_ENABLE);
    }
    std::uint32_t& word() { return *memory.writable_word(kWord); }
    bool send(std::uint32_t dest, std::uint32_t low, unsigned sender = 0)
    {
        return router.send(
            sender, ipidefer_icr_x2apic(std::uint64_t{dest} << 32 | low));
    }
    unsigned fixed_in(unsigned vcpu)
    {
        unsigned n = 0;
        router.inbox(vcpu).take_fixed([&](std::uint8_t) { ++n; });
        return n;
    }
    std::uint64_t counted(unsigned vcpu, ipidefer_verdict verdict)
    {
        return interceptor.counts(vcpu, kTyped)[verdict];
    }

    GuestMemory memory{4u << 20};
    Interceptor interceptor;
    Router router{interceptor, kVcpus};
    FakeKick kicks[kVcpus];
};

TEST_F(RouterTest, UnboundVectorIsDeliveredAndKicks)
{
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(fixed_in(1), 1u);
    EXPECT_EQ(kicks[1].kicks, 1u);
    EXPECT_EQ(kicks[2].kicks, 0u);
}

TEST_F(RouterTest, RecordedIpiNeitherArrivesNorKicks)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    word() = kAccepts;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(word(), kAccepts | kBit);
    EXPECT_EQ(fixed_in(1), 0u);
    EXPECT_EQ(kicks[1].kicks, 0u);
    EXPECT_EQ(counted(1, IPIDEFER_DEFERRED), 1u);
}

TEST_F(RouterTest, WordThatDoesNotAcceptGetsTheInterrupt)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    word() = 0;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(word(), 0u);
    EXPECT_EQ(fixed_in(1), 1u);
    EXPECT_EQ(counted(1, IPIDEFER_DELIVERED_IN_KERNEL), 1u);
}

TEST_F(RouterTest, OneIpiToAllIsDecidedForEachTarget)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    word() = kAccepts;
    EXPECT_TRUE(send(0, kTyped | 3u << 18));
    EXPECT_EQ(fixed_in(0), 0u);
    EXPECT_EQ(fixed_in(1), 0u) << "recorded";
    EXPECT_EQ(fixed_in(2), 1u) << "not bound";
}

TEST_F(RouterTest, OtherModesOfATypedVectorPass)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    word() = kAccepts;
    EXPECT_TRUE(send(1, kTyped | 4u << 8));  // NMI
    EXPECT_TRUE(router.inbox(1).take_events().nmi);
    EXPECT_TRUE(send(1, kTyped | 1u << 8));  // lowest priority
    EXPECT_EQ(fixed_in(1), 1u);
    EXPECT_TRUE(send(1, kTyped | 1u << 15));  // level
    EXPECT_EQ(fixed_in(1), 1u);
    EXPECT_EQ(word(), kAccepts) << "I3";
}

TEST_F(RouterTest, LowestPriorityArrivesAtOneCandidate)
{
    EXPECT_TRUE(send(6, 0x80 | 1u << 8 | 1u << 11));
    EXPECT_EQ(fixed_in(1) + fixed_in(2), 1u);
}

TEST_F(RouterTest, IllegalVectorIsNotSent)
{
    EXPECT_FALSE(send(1, 0x0f));
    EXPECT_EQ(fixed_in(1), 0u);
    EXPECT_TRUE(send(1, 0x0f | 4u << 8)) << "an NMI's vector means nothing";
}

TEST_F(RouterTest, InitAndSipiReachTheInbox)
{
    EXPECT_TRUE(send(1, 5u << 8 | 1u << 14));
    EXPECT_TRUE(send(1, 6u << 8 | 1u << 14 | 0x9a));
    const auto events = router.inbox(1).take_events();
    EXPECT_TRUE(events.init);
    EXPECT_EQ(events.sipi, 0x9a);
}

TEST_F(RouterTest, InitDeassertDoesNothing)
{
    EXPECT_TRUE(send(1, 5u << 8 | 1u << 15));
    EXPECT_FALSE(router.inbox(1).take_events().init);
}

TEST_F(RouterTest, EndedRegistrationRecordsNothing)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    EXPECT_NE(router.read_register(1), 0u);
    router.end_registration(1);
    EXPECT_EQ(router.read_register(1), 0u);
    word() = kAccepts;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(word(), kAccepts);
    EXPECT_EQ(fixed_in(1), 1u);
}

TEST_F(RouterTest, TheTableIsCopiedAndMayChangeAfterwards)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    auto other = binding();
    other.word_gpa = kWord + 64;
    put_table(other);
    word() = kAccepts;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(word(), kAccepts | kBit);
}

TEST_F(RouterTest, WordsThatAreNotWritableRamAreRefused)
{
    for (const std::uint64_t gpa :
         {kBootInfoGpa, std::uint64_t{0xfee0'0000}, std::uint64_t{4} << 20,
          ~std::uint64_t{3}, kWord + 2, std::uint64_t{1} << 52}) {
        auto b = binding();
        b.word_gpa = gpa;
        put_table(b);
        EXPECT_FALSE(bind(1)) << std::hex << gpa;
    }
    EXPECT_EQ(interceptor.refused(), 6u);
    EXPECT_EQ(router.read_register(1), 0u);
}

TEST_F(RouterTest, TablesThatAreNotMemoryAreRefused)
{
    for (const std::uint64_t gpa :
         {std::uint64_t{0xfee0'0000}, std::uint64_t{4} << 20,
          ~std::uint64_t{0xff}, std::uint64_t{0xc000'0000}})
        EXPECT_FALSE(bind(1, gpa)) << std::hex << gpa;
    EXPECT_NE(interceptor.refusal(), "");
}

TEST_F(RouterTest, RefusedRegistrationKeepsTheOneBefore)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    const auto before = router.read_register(1);
    EXPECT_FALSE(bind(1, 0xc000'0000));
    EXPECT_EQ(router.read_register(1), before);
    word() = kAccepts;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(word(), kAccepts | kBit);
}

/// With a segment, read by its layout.
class SegmentTest : public RouterTest {
  protected:
    SegmentTest() : SegmentTest{new shm::test::TemporaryFolder} {}

    static SegmentConfig config(const shm::test::TemporaryFolder& folder)
    {
        SegmentConfig segment;
        segment.name = "vm";
        segment.directory = folder.path();
        segment.trace_entries = 64;
        return segment;
    }
    static ipidefer_shm_map* open_only(const shm::test::TemporaryFolder& folder)
    {
        const ipidefer_shm_place place{folder.c_str(), nullptr, 0};
        ipidefer_shm_entry only{};
        (void)ipidefer_shm_list(
            &place,
            [](void* to, const ipidefer_shm_entry* entry) {
                *static_cast<ipidefer_shm_entry*>(to) = *entry;
            },
            &only, nullptr, nullptr);
        return ipidefer_shm_open(&place, only.id, true, nullptr);
    }
    /// Segments in the folder.
    [[nodiscard]] std::ptrdiff_t files() const
    {
        return std::distance(
            std::filesystem::directory_iterator{folder->path()}, {});
    }
    [[nodiscard]] std::byte* memory_of_segment() const
    {
        return static_cast<std::byte*>(ipidefer_shm_memory(map.get()));
    }
    [[nodiscard]] const ipidefer_segment& header() const
    {
        return *reinterpret_cast<const ipidefer_segment*>(memory_of_segment());
    }
    /// As a tool does.
    [[nodiscard]] ipidefer_segment_policy& steer() const
    {
        return *reinterpret_cast<ipidefer_segment_policy*>(
            memory_of_segment() + header().policy_offset);
    }
    struct Traced {
        ipidefer_trace_entry event;
        std::uint64_t targets;
    };
    [[nodiscard]] std::vector<Traced> traced() const
    {
        std::vector<Traced> all;
        for (std::uint64_t n = 0; n < header().ring_entries; ++n) {
            const std::byte* at = memory_of_segment() + header().ring_offset +
                                  n * header().ring_entry_bytes;
            Traced one{};
            std::memcpy(&one.event, at, sizeof(one.event));
            std::memcpy(&one.targets, at + sizeof(one.event),
                        sizeof(one.targets));
            if (one.event.seq != 2 * n + 2) break;
            all.push_back(one);
        }
        return all;
    }

    struct Close {
        void operator()(ipidefer_shm_map* open) const
        {
            ipidefer_shm_close(open);
        }
    };
    std::unique_ptr<shm::test::TemporaryFolder> folder;
    std::unique_ptr<ipidefer_shm_map, Close> map;

  private:
    explicit SegmentTest(shm::test::TemporaryFolder* made)
        : RouterTest{config(*made)}, folder{made}, map{open_only(*made)}
    {
    }
};

TEST_F(SegmentTest, ToolsSteerTheNextIpi)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    word() = kAccepts;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(fixed_in(1), 0u);
    steer().enabled = 0;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(fixed_in(1), 1u);
    EXPECT_EQ(counted(1, IPIDEFER_DELIVERED_POLICY), 1u);
    steer().enabled = 1;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(fixed_in(1), 0u);
    steer().isolated[0] = 1u << 2;
    EXPECT_TRUE(send(1, kTyped));
    EXPECT_EQ(fixed_in(1), 1u);
    EXPECT_EQ(counted(1, IPIDEFER_DELIVERED_NOT_ISOLATED), 1u);
    EXPECT_FALSE(interceptor.isolated(1));
}

TEST_F(SegmentTest, EveryWriteIsTracedWithItsTargets)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    word() = kAccepts;
    EXPECT_TRUE(send(1, kTyped)) << "nobody traces yet";
    steer().trace = IPIDEFER_TRACE_ALL;
    EXPECT_TRUE(send(1, kTyped, 2));
    EXPECT_TRUE(send(0, 0x80 | 3u << 18));  // all but self
    EXPECT_TRUE(send(2, 4u << 8));          // NMI
    EXPECT_FALSE(send(1, 0x0f)) << "illegal, and traced all the same";
    const auto events = traced();
    ASSERT_EQ(events.size(), 5u);
    EXPECT_EQ(events[0].event.kind, IPIDEFER_TRACE_SEND);
    EXPECT_EQ(events[0].event.vector, kTyped);
    EXPECT_EQ(events[0].event.sender, 2u);
    EXPECT_EQ(events[0].targets, 0b010u);
    EXPECT_EQ(events[1].event.kind, IPIDEFER_TRACE_VERDICT);
    EXPECT_EQ(events[1].event.verdict, IPIDEFER_COALESCED);
    EXPECT_EQ(events[1].event.sender, 2u);
    EXPECT_EQ(events[1].event.cpu, 1u);
    EXPECT_EQ(events[2].targets, 0b110u);
    EXPECT_EQ(events[2].event.sender, 0u);
    EXPECT_EQ(events[3].event.delivery, IPIDEFER_NMI);
    EXPECT_EQ(events[3].targets, 0b100u);
    EXPECT_EQ(events[4].event.vector, 0x0f);
}

TEST_F(SegmentTest, WorkThatHasWaitedTooLongArrivesToo)
{
    put_table(binding());
    ASSERT_TRUE(bind(1));
    word() = kAccepts;
    EXPECT_TRUE(send(1, kTyped));
    (void)router.tick();
    EXPECT_EQ(fixed_in(1), 0u) << "no max_age";
    steer().max_age_ns = 1;
    (void)router.tick();
    EXPECT_EQ(fixed_in(1), 1u);
    EXPECT_EQ(kicks[1].kicks, 1u);
    EXPECT_EQ(word(), kAccepts | kBit) << "I2: it stays recorded";
    EXPECT_EQ(interceptor.counts(1, kTyped).max_age, 1u);
    EXPECT_EQ(counted(1, IPIDEFER_DEFERRED), 1u) << "I1: its one verdict";
    // Done by the guest: nothing waits any more.
    word() = kAccepts;
    (void)router.tick();
    EXPECT_EQ(fixed_in(1), 0u);
}

TEST_F(SegmentTest, FileGoesWithTheVmAndAnotherOfItsNameStays)
{
    EXPECT_EQ(files(), 1);
    {
        const Interceptor second{policy(), false, kVcpus, memory,
                                 config(*folder)};
        EXPECT_EQ(files(), 2);
    }
    EXPECT_EQ(files(), 1);
}

TEST(InterceptorCpuid, IsTheContracts)
{
    const auto leaves = Interceptor::cpuid();
    EXPECT_EQ(leaves[0].function, IPI_DEFER_CPUID_DEFAULT);
    EXPECT_EQ(leaves[0].eax, leaves[1].function);
    char signature[13] = {};
    std::memcpy(signature, &leaves[0].ebx, 4);
    std::memcpy(signature + 4, &leaves[0].ecx, 4);
    std::memcpy(signature + 8, &leaves[0].edx, 4);
    EXPECT_STREQ(signature, IPI_DEFER_SIGNATURE);
    EXPECT_EQ(leaves[1].ebx, IPI_DEFER_F_ICR) << "there is no doorbell";
}

}  // namespace
}  // namespace ipidefer::vmm

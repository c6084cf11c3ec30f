// SPDX-License-Identifier: GPL-2.0-or-later
// Router and interceptor together: what an ICR write does to inboxes and words.
#include "router.hpp"

#include <gtest/gtest.h>

#include <cstring>

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
    RouterTest()
    {
        for (unsigned i = 0; i < kVcpus; ++i) {
            ipidefer_apic apic{};
            apic.id = i;
            apic.x2apic = apic.enabled = true;
            apic.ldr = 1u << i;
            router.connect(i, kicks[i], apic);
        }
    }

    static Policy policy()
    {
        Policy policy;
        policy.isolated = {1, 2};
        for (unsigned v = IPI_DEFER_VECTOR_FIRST; v <= IPI_DEFER_VECTOR_LAST;
             ++v)
            policy.vectors.push_back(v);
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
        return interceptor.counters(vcpu, kTyped).verdict[verdict];
    }

    GuestMemory memory{4u << 20};
    Interceptor interceptor{policy(), kVcpus, memory};
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

// SPDX-License-Identifier: GPL-2.0-or-later
// Decisions through the C interface: the reasons, their order and counting.
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "vmm/core/tests/guest_layout.hpp"

namespace ipidefer {
namespace {

using test::counted;
using test::counted_total;
using test::kFirstWork;
using test::kUser;
using test::kVector;
using test::kWatching;
using test::make_binding;

constexpr std::uint32_t kVcpus = 4;
constexpr std::uint32_t kTarget = 2;

class VmTest : public testing::Test {
  protected:
    void SetUp() override
    {
        ASSERT_NE(vm_, nullptr);
        ASSERT_EQ(test::bind_isolated(vm_.get(), kTarget, word_), IPIDEFER_OK);
    }

    ipidefer_verdict decide() { return decide(kTarget, kVector); }
    ipidefer_verdict decide(std::uint32_t target, std::uint8_t vector)
    {
        return ipidefer_decide(vm_.get(), target, vector);
    }

    /// Bind vectors first..first+n-1 of one vCPU, all in word_.
    ipidefer_error bind_many(std::uint32_t vcpu, unsigned first, unsigned n,
                             ipidefer_fault* fault = nullptr)
    {
        std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> table{};
        std::array<std::uint32_t*, IPI_DEFER_MAX_BINDINGS> words{};
        for (unsigned i = 0; i < n; ++i) {
            table[i] = make_binding(static_cast<std::uint8_t>(first + i),
                                    kFirstWork << i);
            words[i] = &word_;
        }
        return ipidefer_bind(vm_.get(), vcpu, table.data(), words.data(), n,
                             fault);
    }

    std::uint32_t word_ = kUser;
    test::VmPtr vm_ = test::make_vm(kVcpus);
};

// ---- Creation -------------------------------------------------------------

TEST(VmCreate, NumberOfVcpusIsLimited)
{
    EXPECT_EQ(ipidefer_vm_create(0), nullptr);
    EXPECT_EQ(ipidefer_vm_create(IPIDEFER_MAX_VCPUS + 1), nullptr);
    const auto largest = test::make_vm(IPIDEFER_MAX_VCPUS);
    ASSERT_NE(largest, nullptr);
    EXPECT_EQ(ipidefer_vm_vcpus(largest.get()), IPIDEFER_MAX_VCPUS);
}

TEST(VmCreate, StartsWithTheDocumentedPolicy)
{
    const auto vm = test::make_vm(2);
    EXPECT_TRUE(ipidefer_enabled(vm.get()));
    EXPECT_FALSE(ipidefer_isolated(vm.get(), 0));
    EXPECT_EQ(ipidefer_contexts(vm.get()),
              std::uint32_t{IPIDEFER_CONTEXT_USER | IPIDEFER_CONTEXT_GUEST});
    EXPECT_TRUE(ipidefer_vector_allowed(vm.get(), 0xff));
    EXPECT_FALSE(ipidefer_typed(vm.get(), kVector));
}

TEST(VmCreate, DestroyTakesNull) { ipidefer_vm_destroy(nullptr); }

// ---- One test per verdict, in the order of the checks -----------------------

TEST_F(VmTest, UntypedVectorIsPassedAndNotCounted)
{
    EXPECT_EQ(decide(kTarget, 0xf0), IPIDEFER_PASSED);
    ipidefer_counters c;
    EXPECT_FALSE(ipidefer_counters_get(vm_.get(), kTarget, 0xf0, &c));
}

TEST_F(VmTest, AcceptingWordIsDeferredThenCoalesced)
{
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
    EXPECT_EQ(word_, kUser | kFirstWork);
    EXPECT_EQ(decide(), IPIDEFER_COALESCED);
    EXPECT_EQ(word_, kUser | kFirstWork);
}

TEST_F(VmTest, WatchingWordIsDeliveredInKernel)
{
    word_ |= kWatching;
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_IN_KERNEL);
    EXPECT_EQ(word_, kUser | kWatching);
}

TEST_F(VmTest, OtherVcpuIsDeliveredNotBound)
{
    EXPECT_EQ(decide(kTarget + 1, kVector), IPIDEFER_DELIVERED_NOT_BOUND);
}

TEST_F(VmTest, TargetOutOfRangeIsDeliveredNotBoundAndCountedTogether)
{
    EXPECT_EQ(decide(kVcpus, kVector), IPIDEFER_DELIVERED_NOT_BOUND);
    EXPECT_EQ(decide(UINT32_MAX, kVector), IPIDEFER_DELIVERED_NOT_BOUND);
    EXPECT_EQ(counted(vm_.get(), 12'345, kVector, IPIDEFER_DELIVERED_NOT_BOUND),
              2u);
}

TEST_F(VmTest, KillSwitchDeliversAndBackOnDefers)
{
    ipidefer_set_enabled(vm_.get(), false);
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_POLICY);
    ipidefer_set_enabled(vm_.get(), true);
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
}

TEST_F(VmTest, VectorNotAllowedIsDeliveredPolicy)
{
    ipidefer_set_vector_allowed(vm_.get(), kVector, false);
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_POLICY);
    EXPECT_EQ(word_, kUser);
}

TEST_F(VmTest, VcpuNotIsolatedIsDeliveredNotIsolated)
{
    ASSERT_EQ(ipidefer_set_isolated(vm_.get(), kTarget, false), IPIDEFER_OK);
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_NOT_ISOLATED);
    EXPECT_EQ(word_, kUser);
}

TEST_F(VmTest, LostWordIsDeliveredBadWordUntilTheNextBind)
{
    ipidefer_lose_word(vm_.get(), kTarget, 0);
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_BAD_WORD);
    EXPECT_EQ(word_, kUser);
    ASSERT_EQ(test::bind_isolated(vm_.get(), kTarget, word_), IPIDEFER_OK);
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
}

TEST_F(VmTest, BlindDecisionDeliversAndTouchesNoWord)
{
    const auto blind = [this](std::uint32_t target) {
        return ipidefer_decide_blind(vm_.get(), 0, target, kVector);
    };
    EXPECT_EQ(blind(kTarget), IPIDEFER_DELIVERED_BAD_WORD);
    EXPECT_EQ(word_, kUser);
    EXPECT_EQ(blind(0), IPIDEFER_DELIVERED_NOT_BOUND);
    ipidefer_set_enabled(vm_.get(), false);
    EXPECT_EQ(blind(kTarget), IPIDEFER_DELIVERED_POLICY);
    EXPECT_EQ(counted_total(vm_.get(), kTarget, kVector), 2u);  // I1
    ipidefer_set_enabled(vm_.get(), true);
    // Nothing is lost by it: the next one may look again.
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
    EXPECT_EQ(ipidefer_decide_blind(vm_.get(), 0, kTarget, kVector + 1),
              IPIDEFER_PASSED);
}

TEST_F(VmTest, MergedAreCountedByTargetAndVectorAndAreNoVerdicts)
{
    EXPECT_EQ(ipidefer_merged(vm_.get(), kTarget, kVector), 0u);
    ipidefer_count_merged(vm_.get(), kTarget, kVector);
    ipidefer_count_merged(vm_.get(), kTarget, kVector);
    EXPECT_EQ(ipidefer_merged(vm_.get(), kTarget, kVector), 2u);
    EXPECT_EQ(ipidefer_merged(vm_.get(), kTarget - 1, kVector), 0u);
    EXPECT_EQ(counted_total(vm_.get(), kTarget, kVector), 0u);
    ipidefer_count_merged(vm_.get(), kTarget, kVector + 1);
    EXPECT_EQ(ipidefer_merged(vm_.get(), kTarget, kVector + 1), 0u);
}

TEST_F(VmTest, ContextNotAllowedIsDeliveredPolicy)
{
    word_ = test::kIdle;
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_POLICY);
    ipidefer_set_contexts(vm_.get(), IPIDEFER_CONTEXTS_ALL);
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
}

TEST_F(VmTest, EarlierReasonHidesLaterOnes)
{
    ipidefer_set_contexts(vm_.get(), 0);
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_POLICY);
    word_ |= kWatching;
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_IN_KERNEL);
    ipidefer_lose_word(vm_.get(), kTarget, 0);
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_BAD_WORD);
    ASSERT_EQ(ipidefer_set_isolated(vm_.get(), kTarget, false), IPIDEFER_OK);
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_NOT_ISOLATED);
    ipidefer_set_enabled(vm_.get(), false);
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_POLICY);
    EXPECT_EQ(decide(kTarget + 1, kVector), IPIDEFER_DELIVERED_NOT_BOUND);
    ipidefer_unbind(vm_.get(), kTarget);
    EXPECT_EQ(decide(), IPIDEFER_PASSED);
}

// ---- Counting ---------------------------------------------------------------

TEST_F(VmTest, EachDecisionIncrementsExactlyOneCounter)
{
    const std::vector<ipidefer_verdict> verdicts = [this] {
        std::vector<ipidefer_verdict> all;
        all.push_back(decide());
        all.push_back(decide());
        word_ = kWatching;
        all.push_back(decide());
        ipidefer_lose_word(vm_.get(), kTarget, 0);
        all.push_back(decide());
        ipidefer_set_enabled(vm_.get(), false);
        all.push_back(decide());
        return all;
    }();
    for (const ipidefer_verdict v : verdicts)
        EXPECT_EQ(counted(vm_.get(), kTarget, kVector, v), 1u) << v;
    EXPECT_EQ(counted_total(vm_.get(), kTarget, kVector), verdicts.size());
}

TEST_F(VmTest, CountersOutliveTheRegistration)
{
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
    ipidefer_unbind(vm_.get(), kTarget);
    EXPECT_EQ(counted(vm_.get(), kTarget, kVector, IPIDEFER_DEFERRED), 1u);
}

// ---- Registration -----------------------------------------------------------

TEST_F(VmTest, GateStaysOpenWhileAnyVcpuHasTheVectorBound)
{
    std::uint32_t other = kUser;
    ASSERT_EQ(test::bind_isolated(vm_.get(), 0, other), IPIDEFER_OK);
    ipidefer_unbind(vm_.get(), kTarget);
    EXPECT_TRUE(ipidefer_typed(vm_.get(), kVector));
    EXPECT_EQ(decide(), IPIDEFER_DELIVERED_NOT_BOUND);
    ipidefer_unbind(vm_.get(), 0);
    EXPECT_FALSE(ipidefer_typed(vm_.get(), kVector));
    EXPECT_EQ(decide(), IPIDEFER_PASSED);
}

TEST_F(VmTest, UnbindTwiceClosesTheGateOnce)
{
    std::uint32_t other = kUser;
    ASSERT_EQ(test::bind_isolated(vm_.get(), 0, other), IPIDEFER_OK);
    ipidefer_unbind(vm_.get(), kTarget);
    ipidefer_unbind(vm_.get(), kTarget);
    EXPECT_TRUE(ipidefer_typed(vm_.get(), kVector));
}

TEST_F(VmTest, RebindReplacesTheVectorsAndWords)
{
    std::uint32_t other = kUser;
    ASSERT_EQ(test::bind_isolated(vm_.get(), kTarget, other, 0xf7),
              IPIDEFER_OK);
    EXPECT_FALSE(ipidefer_typed(vm_.get(), kVector));
    EXPECT_EQ(decide(kTarget, 0xf7), IPIDEFER_DEFERRED);
    EXPECT_EQ(other, kUser | kFirstWork);
    EXPECT_EQ(word_, kUser);
}

TEST_F(VmTest, EachBindingOfAFullTableSetsItsOwnBit)
{
    ASSERT_EQ(bind_many(kTarget, 0x20, IPI_DEFER_MAX_BINDINGS), IPIDEFER_OK);
    for (unsigned i = 0; i < IPI_DEFER_MAX_BINDINGS; ++i) {
        word_ = kUser;
        EXPECT_EQ(decide(kTarget, static_cast<std::uint8_t>(0x20 + i)),
                  IPIDEFER_DEFERRED);
        EXPECT_EQ(word_, kUser | kFirstWork << i);
    }
}

TEST_F(VmTest, BindingsAreReadBack)
{
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out{};
    EXPECT_EQ(ipidefer_bindings(vm_.get(), kTarget, out.data()), 1u);
    EXPECT_EQ(out[0].word_gpa, test::kWordGpa);
    EXPECT_EQ(out[0].vector, kVector);
    EXPECT_EQ(ipidefer_bindings(vm_.get(), 0, out.data()), 0u);
    EXPECT_EQ(ipidefer_bindings(vm_.get(), kVcpus, out.data()), 0u);
}

TEST_F(VmTest, VectorsBeyondTheVmsLimitAreRefusedAndNothingChanges)
{
    vm_ = test::make_vm(kVcpus + 2);
    ASSERT_EQ(test::bind_isolated(vm_.get(), kTarget, word_), IPIDEFER_OK);
    ASSERT_EQ(bind_many(0, 0x20, 8), IPIDEFER_OK);
    ASSERT_EQ(bind_many(1, 0x28, 8), IPIDEFER_OK);
    ASSERT_EQ(bind_many(3, 0x30, 8), IPIDEFER_OK);
    ASSERT_EQ(bind_many(4, 0x38, 6), IPIDEFER_OK);  // 31 with kVector

    ipidefer_fault fault{};
    EXPECT_EQ(bind_many(5, 0x40, 2, &fault), IPIDEFER_E_VECTORS);
    EXPECT_EQ(fault.value, 33u);
    EXPECT_EQ(fault.limit, IPIDEFER_MAX_TYPED);
    EXPECT_FALSE(ipidefer_typed(vm_.get(), 0x40));
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);

    EXPECT_EQ(bind_many(5, 0x40, 1), IPIDEFER_OK);
    EXPECT_EQ(bind_many(5, 0x41, 2), IPIDEFER_E_VECTORS);
    EXPECT_TRUE(ipidefer_typed(vm_.get(), 0x40));
    EXPECT_EQ(bind_many(5, 0x20, 8), IPIDEFER_OK);  // others have bound these
    EXPECT_EQ(bind_many(0, 0x41, 1), IPIDEFER_OK);  // and there is room again
}

// I7: not for the rest of the VM's life, whatever a guest has bound before.
TEST_F(VmTest, VectorsThatNoVcpuHasBoundAnyMoreUseUpNothing)
{
    for (unsigned first = 0x20; first <= 0xe0; first += 8)
        ASSERT_EQ(bind_many(0, first, 8), IPIDEFER_OK) << first;
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
    ASSERT_EQ(bind_many(0, 0xf8, 7), IPIDEFER_OK);
    for (unsigned vector = 0xf8; vector <= 0xfe; ++vector) {
        EXPECT_TRUE(
            ipidefer_typed(vm_.get(), static_cast<std::uint8_t>(vector)));
        EXPECT_EQ(decide(1, static_cast<std::uint8_t>(vector)),
                  IPIDEFER_DELIVERED_NOT_BOUND);
    }
    EXPECT_FALSE(ipidefer_typed(vm_.get(), 0x20));
}

TEST_F(VmTest, AllVectorsOfTheLimitCanBeReplacedAtOnce)
{
    ASSERT_EQ(bind_many(kTarget, 0x20, 8), IPIDEFER_OK);
    ASSERT_EQ(bind_many(0, 0x28, 8), IPIDEFER_OK);
    ASSERT_EQ(bind_many(1, 0x30, 8), IPIDEFER_OK);
    ASSERT_EQ(bind_many(3, 0x38, 8), IPIDEFER_OK);
    ASSERT_EQ(bind_many(kTarget, 0x50, 8), IPIDEFER_OK);
    for (std::uint8_t vector = 0x50; vector < 0x58; ++vector) {
        word_ = kUser;
        EXPECT_EQ(decide(kTarget, vector), IPIDEFER_DEFERRED);
    }
}

TEST_F(VmTest, RecycledVectorStartsWithoutCounts)
{
    ASSERT_EQ(bind_many(0, 0x20, 1), IPIDEFER_OK);
    EXPECT_EQ(decide(1, 0x20), IPIDEFER_DELIVERED_NOT_BOUND);
    EXPECT_EQ(test::counted_total(vm_.get(), 1, 0x20), 1u);
    ipidefer_count_merged(vm_.get(), 1, 0x20);
    ipidefer_unbind(vm_.get(), 0);
    EXPECT_EQ(test::counted_total(vm_.get(), 1, 0x20), 1u);
    for (unsigned first = 0x28; first <= 0x48; first += 8)
        ASSERT_EQ(bind_many(0, first, 8), IPIDEFER_OK);
    EXPECT_EQ(test::counted_total(vm_.get(), 1, 0x20), 0u);
    for (unsigned v = 0x28; v < 0x50; ++v) {
        const auto vector = static_cast<std::uint8_t>(v);
        EXPECT_EQ(test::counted_total(vm_.get(), 1, vector), 0u);
        EXPECT_EQ(ipidefer_merged(vm_.get(), 1, vector), 0u);
    }
}

TEST_F(VmTest, FaultyBindChangesNothing)
{
    const ipi_defer_binding b[2] = {make_binding(0x50, 0x100),
                                    make_binding(0x51, 0x200)};
    std::uint32_t* words[2] = {&word_, nullptr};
    ipidefer_fault fault{};
    EXPECT_EQ(ipidefer_bind(vm_.get(), kTarget, b, words, 2, &fault),
              IPIDEFER_E_WORD);
    EXPECT_EQ(fault.binding, 1u);
    EXPECT_EQ(fault.value, test::kWordGpa);
    EXPECT_EQ(ipidefer_bind(vm_.get(), kVcpus, b, words, 1, &fault),
              IPIDEFER_E_VCPU);
    EXPECT_EQ(ipidefer_bind(vm_.get(), kTarget, b, words, 0, &fault),
              IPIDEFER_E_COUNT);
    EXPECT_EQ(ipidefer_bind(vm_.get(), kTarget, b, words, 9, &fault),
              IPIDEFER_E_COUNT);
    EXPECT_FALSE(ipidefer_typed(vm_.get(), 0x50));
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
}

TEST_F(VmTest, MisalignedHostWordIsRefused)
{
    const ipi_defer_binding b = make_binding(0x50);
    alignas(4) unsigned char bytes[8] = {};
    void* odd = bytes + 2;
    std::uint32_t* const words[] = {static_cast<std::uint32_t*>(odd)};
    EXPECT_EQ(ipidefer_bind(vm_.get(), kTarget, &b, words, 1, nullptr),
              IPIDEFER_E_WORD);
}

TEST_F(VmTest, CallsOutOfRangeHaveNoEffect)
{
    ipidefer_unbind(vm_.get(), kVcpus);
    ipidefer_lose_word(vm_.get(), kVcpus, 0);
    ipidefer_lose_word(vm_.get(), kTarget, 1);
    EXPECT_EQ(ipidefer_set_isolated(vm_.get(), kVcpus, true), IPIDEFER_E_VCPU);
    EXPECT_FALSE(ipidefer_isolated(vm_.get(), kVcpus));
    EXPECT_EQ(decide(), IPIDEFER_DEFERRED);
}

// ---- Gate and names
// -----------------------------------------------------------

TEST(VmGate, OpensForEachVectorByItself)
{
    for (unsigned v = IPI_DEFER_VECTOR_FIRST; v <= IPI_DEFER_VECTOR_LAST; ++v) {
        const auto vm = test::make_vm(1);
        std::uint32_t word = kUser;
        ASSERT_EQ(test::bind_isolated(vm.get(), 0, word,
                                      static_cast<std::uint8_t>(v)),
                  IPIDEFER_OK);
        for (unsigned w = 0; w < 256; ++w)
            ASSERT_EQ(ipidefer_typed(vm.get(), static_cast<std::uint8_t>(w)),
                      w == v);
    }
}

TEST(VerdictName, EachIsStableAndDistinct)
{
    std::set<std::string> all;
    for (unsigned v = 0; v < IPIDEFER_VERDICTS; ++v)
        all.insert(ipidefer_verdict_name(static_cast<ipidefer_verdict>(v)));
    EXPECT_EQ(all, (std::set<std::string>{
                       "passed", "deferred", "coalesced", "delivered-in-kernel",
                       "delivered-not-isolated", "delivered-not-bound",
                       "delivered-policy", "delivered-bad-word",
                       "delivered-contended"}));
    EXPECT_STREQ(ipidefer_verdict_name(IPIDEFER_VERDICTS), "?");
}

}  // namespace
}  // namespace ipidefer

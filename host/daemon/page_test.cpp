// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/page.hpp"

#include <gtest/gtest.h>

#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::daemon {
namespace {

using namespace std::chrono_literals;
using segment::VmStatus;
using Clock = Snapshots::Clock;

/// Registered, isolated, and with nothing to complain about.
VmStatus vm_named(const std::string& name, std::uint32_t vcpus = 4)
{
    VmStatus vm;
    vm.name = name;
    vm.id = "id of " + name;
    vm.life = segment::Life::kRuns;
    vm.policy.enabled = vm.policy.user = true;
    vm.policy.isolated = {2, 3};
    for (std::uint32_t i = 0; i < vcpus; ++i)
        vm.vcpus.push_back({.vcpu = i,
                            .isolated = i == 2 || i == 3,
                            .bound = true,
                            .by_vector = {},
                            .oldest_pending = {},
                            .context = "user"});
    return vm;
}

SnapshotPtr snapshot_of(const std::vector<VmStatus>& vms,
                        Clock::time_point when = {})
{
    const auto snapshot = std::make_shared<Snapshot>();
    snapshot->when = when;
    for (const VmStatus& vm : vms) snapshot->add(vm, std::nullopt);
    return snapshot;
}

std::string body_of(const std::vector<VmStatus>& vms)
{
    return page_body(nullptr, snapshot_of(vms));
}

bool has(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

TEST(Page, ShowsAVmAndThatNothingIsWrong)
{
    const std::string body = body_of({vm_named("web")});
    EXPECT_TRUE(has(body, "<th scope=row>web<")) << body;
    EXPECT_TRUE(has(body, "vCPUs 2-3, user, max-age none"));
    EXPECT_TRUE(has(body, "<p id=wrong class=good>Nothing.</p>"));
}

TEST(Page, EscapesWhatVmsAndOperatorsName)
{
    const std::string evil =
        "</td><script>x</script><img src=\"q\" onerror=x>&";
    VmStatus vm = vm_named(evil);
    vm.producer = vm.id = vm.vcpus[0].context = evil;
    vm.policy.enabled = false;  // so that there is a finding about it
    const auto snapshot = std::make_shared<Snapshot>();
    snapshot->add(vm, DomainIdentity{evil, evil});
    snapshot->broken[evil] = evil;
    const std::string body = page_body(nullptr, snapshot);
    EXPECT_FALSE(has(body, "<script")) << body;
    EXPECT_FALSE(has(body, "<img"));
    EXPECT_FALSE(has(body, "</td"));
    EXPECT_TRUE(has(body,
                    "&lt;script&gt;x&lt;/script&gt;&lt;img "
                    "src=&quot;q&quot; onerror=x&gt;&amp;"));
}

TEST(Page, RatesAreOfTheTimeBetweenTwoLooks)
{
    VmStatus before = vm_named("web");
    before.vcpus[2].by_vector[0xf5][IPIDEFER_DEFERRED] = 100;
    VmStatus after = before;
    after.vcpus[2].by_vector[0xf5][IPIDEFER_DEFERRED] = 140;
    after.vcpus[2].by_vector[0xf5][IPIDEFER_COALESCED] = 5;
    after.vcpus[2].by_vector[0xf5][IPIDEFER_DELIVERED_IN_KERNEL] = 2;
    const Clock::time_point start{};
    const std::string body = page_body(snapshot_of({before}, start),
                                       snapshot_of({after}, start + 2s));
    EXPECT_TRUE(has(body,
                    "<td class=n>20<td class=n>2.5<td class=n>1.0"
                    "<td class=n>145<td class=n>2<td class=n>-"))
        << body;
    // A VM that was not there, and the same look twice: no rates.
    for (const SnapshotPtr& first :
         {snapshot_of({}, start), snapshot_of({after}, start + 2s)})
        EXPECT_TRUE(has(page_body(first, snapshot_of({after}, start + 2s)),
                        "<td class=n>-<td class=n>-<td class=n>-"
                        "<td class=n>145"));
}

TEST(Page, SaysWhatIsWrong)
{
    VmStatus killed = vm_named("killed");
    killed.life = segment::Life::kGone;
    VmStatus off = vm_named("off");
    off.policy.enabled = false;
    VmStatus nobody = vm_named("nobody");
    nobody.policy.isolated = {};
    VmStatus guest = vm_named("guest");
    guest.vcpus[3].bound = false;
    const auto now =
        std::make_shared<Snapshot>(*snapshot_of({killed, off, nobody, guest}));
    now->broken["x"] = "its version is 1";
    now->left_out = 7;
    now->libvirt = false;
    now->audit_kept = 8;
    now->audit_lost = 9;
    const std::string body = page_body(nullptr, now);
    for (const char* finding :
         {"<b>VM killed</b>: its VMM was killed",
          "<b>VM off</b>: nothing is deferred: the kill switch is on",
          "<b>VM nobody</b>: nothing is deferred: the policy isolates no vCPU",
          "<b>VM guest</b>: the guest has not registered vCPUs 3:",
          "<b>segment x</b>: cannot be read: its version is 1",
          "<b>segments</b>: 7 are not watched", "<b>libvirt</b>: does not",
          "<b>audit log</b>: does not take 8", "<b>audit log</b>: 9 entries"})
        EXPECT_TRUE(has(body, finding)) << finding << '\n' << body;
    EXPECT_FALSE(has(body, "Nothing."));
}

TEST(Page, IsBoundedAndSaysWhatIsNotShown)
{
    std::vector<VmStatus> vms;
    for (std::size_t i = 0; i < kMaxVmsShown + 5; ++i)
        vms.push_back(vm_named("vm" + std::to_string(i), 300));
    const SnapshotPtr now = snapshot_of(vms);
    std::size_t shown = 0;
    for (const ShownVm& vm : now->vms) shown += vm.shown.size();
    EXPECT_EQ(now->vms.size(), kMaxVmsShown);
    EXPECT_EQ(shown, kMaxVcpusShown);
    // Isolated ones first.
    EXPECT_EQ(now->vms[0].shown[0].vcpu, 2u);
    EXPECT_EQ(now->vms[0].shown[2].vcpu, 0u);
    const std::string body = page_body(nullptr, now);
    EXPECT_LT(body.size(), 1'000'000u);
    EXPECT_TRUE(has(body, "5 more VMs are not shown."));
    EXPECT_TRUE(has(body, "236 more vCPUs are not shown."));
}

TEST(Page, PolicyLetsOnlyItsOwnScriptRun)
{
    const std::string nonce = page_nonce();
    EXPECT_EQ(nonce.size(), 32u);
    EXPECT_NE(nonce, page_nonce());
    const std::string policy = page_policy(nonce);
    EXPECT_TRUE(has(policy, "default-src 'none'"));
    EXPECT_TRUE(has(policy, "script-src 'nonce-" + nonce + "';"));
    EXPECT_FALSE(has(policy, "unsafe"));
    EXPECT_TRUE(has(page("", nonce), "<script nonce=\"" + nonce + "\">"));
}

TEST(Page, EventHasEachLineAsDataAndEndsWithABlankOne)
{
    EXPECT_EQ(page_event("a\nb\n"), "data: a\ndata: b\n\n");
}

TEST(Snapshots, ManyWhoLookCostWhatOneDoes)
{
    unsigned taken = 0;
    Snapshots snapshots{[&taken] {
        ++taken;
        return Snapshot{};
    }};
    const Clock::time_point start = Clock::now();
    EXPECT_EQ(snapshots.before(start), nullptr);
    const SnapshotPtr first = snapshots.now(start);
    EXPECT_EQ(snapshots.now(start + 400ms), first);
    EXPECT_EQ(taken, 1u);
    EXPECT_EQ(snapshots.before(start + 400ms), nullptr);
    EXPECT_EQ(snapshots.before(start + 1s), first);
    EXPECT_NE(snapshots.now(start + 1s), first);
    EXPECT_EQ(taken, 2u);
    // The newer one is too young for rates: the older one still does.
    EXPECT_EQ(snapshots.before(start + 1200ms), first);
    EXPECT_EQ(snapshots.before(start + 60s), nullptr);
}

}  // namespace
}  // namespace ipidefer::daemon

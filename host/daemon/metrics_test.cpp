// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/metrics.hpp"

#include <gtest/gtest.h>

#include "base/version.hpp"
#include "host/daemon/exposition_testing.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::daemon {
namespace {

using segment::test::kSyncCore;
using test::Exposition;

std::string text_of(const std::vector<segment::VmStatus>& vms,
                    const LibvirtState& libvirt = {}, const Limits& limits = {})
{
    Scrape scrape{limits, libvirt};
    for (const segment::VmStatus& vm : vms) scrape.add(vm);
    return scrape.text({.broken = 2, .left_out = 3});
}

class MetricsTest : public ::testing::Test {
  protected:
    Exposition scrape() { return Exposition{text_of({status()})}; }
    segment::VmStatus status()
    {
        return read_status(segment::OpenVm{folder_.path(), name_},
                           segment::read_tsc());
    }

    std::string name_ = "web \"1\"\\";
    shm::test::TemporaryFolder folder_;
    segment::test::TestVm vm_{folder_.path(), name_};
    const std::string domain_ = "domain=\"web \\\"1\\\"\\\\\"";
};

TEST_F(MetricsTest, IpisAreByTargetVectorVerdictAndReason)
{
    vm_.send(0, kSyncCore, {1, 2});
    vm_.send(0, kSyncCore, {2});
    const Exposition now = scrape();
    const auto ipis = [&](const std::string& rest) {
        return now.value("ipidefer_ipis_total{" + domain_ + rest + "}");
    };
    EXPECT_EQ(ipis(",vcpu=\"2\",vector=\"sync_core\",verdict=\"deferred\","
                   "reason=\"\""),
              1);
    EXPECT_EQ(ipis(",vcpu=\"2\",vector=\"sync_core\",verdict=\"coalesced\","
                   "reason=\"\""),
              1);
    EXPECT_EQ(ipis(",vcpu=\"1\",vector=\"sync_core\",verdict=\"delivered\","
                   "reason=\"not-isolated\""),
              1);
    EXPECT_EQ(now.sum("ipidefer_ipis_total{"), 3);  // I1
}

TEST_F(MetricsTest, DeliveriesForAgeAreNoIpis)
{
    ipidefer_set_max_age(vm_.vm(), 1);
    vm_.send(0, kSyncCore, {2});
    EXPECT_EQ(vm_.tick(UINT64_MAX), (CpuSet{2}));
    const Exposition now = scrape();
    EXPECT_EQ(now.sum("ipidefer_ipis_total{"), 1);
    EXPECT_EQ(now.sum("ipidefer_max_age_deliveries_total{"), 1);
}

TEST_F(MetricsTest, AgeIsInSecondsAndZeroWhenNothingWaits)
{
    const std::string series =
        "ipidefer_oldest_pending_seconds{" + domain_ + ",vcpu=\"2\"}";
    EXPECT_EQ(scrape().value(series), 0);
    vm_.send(0, kSyncCore, {2});
    vm_.tick(segment::read_tsc());
    EXPECT_GT(scrape().value(series), 0);
}

TEST_F(MetricsTest, BuildInfoAndKillSwitchAreThere)
{
    EXPECT_EQ(scrape().value(std::string{"ipidefer_build_info{version=\""} +
                             kVersion + "\"}"),
              1);
    const std::string enabled = "ipidefer_domain_enabled{" + domain_ + "}";
    EXPECT_EQ(scrape().value(enabled), 1);
    ipidefer_set_enabled(vm_.vm(), false);
    EXPECT_EQ(scrape().value(enabled), 0);
}

TEST(Metrics, WithoutVmsTheFormatHolds)
{
    const Exposition none{text_of({})};
    EXPECT_EQ(none.value("ipidefer_domains"), 0);
    EXPECT_EQ(none.value("ipidefer_broken_segments"), 2);
    EXPECT_EQ(none.value("ipidefer_segments_left_out"), 3);
}

TEST_F(MetricsTest, DomainsHaveTheirNameAndUuid)
{
    const Exposition now{text_of(
        {status()},
        {true, {{name_, {"libvirt's", "u-1"}}, {"gone", {"gone", "u-2"}}}})};
    EXPECT_EQ(now.value("ipidefer_domain_info{" + domain_ +
                        ",name=\"libvirt's\",uuid=\"u-1\"}"),
              1);
    EXPECT_EQ(now.sum("ipidefer_domain_info{"), 1);
    EXPECT_EQ(now.value("ipidefer_libvirt_connected"), 1);
}

TEST_F(MetricsTest, VmWithTooManySamplesIsSummedUpAndNothingIsUncounted)
{
    vm_.send(0, kSyncCore, {1, 2, 3});
    vm_.send(0, kSyncCore, {2});
    Limits limits;
    limits.samples_per_vm = 30;
    Scrape scrape{limits, {}};
    scrape.add(status());
    ASSERT_TRUE(scrape.missing().contains(name_));
    EXPECT_TRUE(scrape.missing().at(name_).starts_with(
        "summed up over its vCPUs: it has 38 samples, limit 30 a VM"))
        << scrape.missing().at(name_);
    const Exposition now{scrape.text({})};
    EXPECT_EQ(now.sum("ipidefer_ipis_total{"), 4);  // I1
    EXPECT_EQ(now.sum("ipidefer_ipis_total{" + domain_ + ",vcpu=\"all\""), 4);
    EXPECT_EQ(now.value("ipidefer_samples_missing{" + domain_ + "}"),
              38 - (3 + 1 + 9));
}

TEST_F(MetricsTest, VmsAboveTheLimitOfAllAreSummedThenLeftOutTheFirstStay)
{
    vm_.send(0, kSyncCore, {2});
    Limits limits;
    limits.samples = 34;  // one in full, one summed up, and no third one
    Scrape scrape{limits, {}};
    for (const char* name : {"a", "b", "c"}) {
        auto vm = status();
        vm.name = name;
        scrape.add(vm);
    }
    EXPECT_EQ(scrape.missing().size(), 2u);
    const Exposition now{scrape.text({})};
    EXPECT_TRUE(now.has("ipidefer_domain_enabled{domain=\"a\"}"));
    EXPECT_FALSE(now.has("ipidefer_samples_missing{domain=\"a\"}"));
    EXPECT_EQ(now.sum("ipidefer_ipis_total{domain=\"b\",vcpu=\"all\""), 1);
    EXPECT_FALSE(now.has("ipidefer_domain_enabled{domain=\"c\"}"));
    EXPECT_EQ(now.value("ipidefer_samples_missing{domain=\"c\"}"), 20);
    EXPECT_EQ(now.value("ipidefer_domains"), 3);
}

TEST(Metrics, ConnectionToLibvirtIsSeen)
{
    EXPECT_EQ(Exposition{text_of({}, {false, {}})}.value(
                  "ipidefer_libvirt_connected"),
              0);
    EXPECT_FALSE(Exposition{text_of({})}.has("ipidefer_libvirt_connected"));
}

}  // namespace
}  // namespace ipidefer::daemon

// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics.hpp"

#include <gtest/gtest.h>

#include "exposition.hpp"
#include "temporary_folder.hpp"
#include "test_vm.hpp"
#include "version.hpp"

namespace ipidefer::daemon {
namespace {

using segment::test::kSyncCore;
using test::Exposition;

class MetricsTest : public ::testing::Test {
  protected:
    Exposition scrape()
    {
        return Exposition{
            metrics_text({read_status(segment::OpenVm{folder_.path(), name_},
                                      segment::read_tsc())},
                         0)};
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
    const Exposition none{metrics_text({}, 2)};
    EXPECT_EQ(none.value("ipidefer_domains"), 0);
    EXPECT_EQ(none.value("ipidefer_broken_segments"), 2);
}

TEST_F(MetricsTest, DomainsHaveTheirNameAndUuid)
{
    const auto status = read_status(segment::OpenVm{folder_.path(), name_},
                                    segment::read_tsc());
    const Exposition now{metrics_text(
        {status}, 0,
        {true, {{name_, {"libvirt's", "u-1"}}, {"gone", {"gone", "u-2"}}}})};
    EXPECT_EQ(now.value("ipidefer_domain_info{" + domain_ +
                        ",name=\"libvirt's\",uuid=\"u-1\"}"),
              1);
    EXPECT_EQ(now.sum("ipidefer_domain_info{"), 1);
    EXPECT_EQ(now.value("ipidefer_libvirt_connected"), 1);
}

TEST(Metrics, ConnectionToLibvirtIsSeen)
{
    EXPECT_EQ(Exposition{metrics_text({}, 0, {false, {}})}.value(
                  "ipidefer_libvirt_connected"),
              0);
    EXPECT_FALSE(
        Exposition{metrics_text({}, 0)}.has("ipidefer_libvirt_connected"));
}

}  // namespace
}  // namespace ipidefer::daemon

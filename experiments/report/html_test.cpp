// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>

#include <filesystem>

#include "base/failure.hpp"
#include "experiments/report/outputs.hpp"
#include "experiments/report/plots.hpp"
#include "experiments/report/report_testing.hpp"

namespace ipidefer::report {
namespace {

using test::run_of;

/// Three repetitions of off, twice, and hv.
LabReport repeated()
{
    LabReport report;
    report.accelerator = "tcg";
    report.command_line = "ipidefer lab run --repeat 3";
    for (unsigned i = 1; i <= 3; ++i) {
        report.runs.push_back(run_of("off/A", i, 20));
        report.runs.push_back(run_of("hv", i, 0));
        report.runs.push_back(run_of("off/B", i, 20 + i));
    }
    return report;
}

class Html : public testing::Test {
  protected:
    void SetUp() override
    {
        if (!std::filesystem::exists("/usr/bin/gnuplot"))
            GTEST_SKIP() << "there is no gnuplot";
    }
};

TEST_F(Html, HasTablesPlotsAndTheCommand)
{
    const std::string page = to_html(repeated());
    for (const char* part :
         {"<h2>Workload mixed</h2>",
          "<tr><td>CAL</td><td>20.5 (20 to 21.75)</td><td>0 (0 to 0)</td>",
          "<tr><td>hv - off/A</td><td>3</td><td>-20</td><td>-20 to -20</td>",
          "too few", "<pre>ipidefer lab run --repeat 3</pre>",
          "<figcaption>Interrupts that isolated vCPUs took</figcaption>",
          "<figcaption>Gaps of the loops</figcaption>",
          "<figcaption>Interrupts by repetition</figcaption>",
          "src=\"data:image/svg+xml,%3C%3Fxml", "The guest was emulated."})
        EXPECT_NE(page.find(part), std::string::npos) << part;
    // Nothing of it is elsewhere, and nothing of it runs.
    for (const char* part : {"http:", "https:", "<script", " onload"})
        EXPECT_EQ(page.find(part), std::string::npos) << part;
}

TEST_F(Html, GapsHaveTheirCausesAndATimeline)
{
    LabReport report = repeated();
    EXPECT_EQ(to_html(report).find("over time"), std::string::npos);
    for (LabRun& run : report.runs) {
        run.loops[2].listed = {{1'000'000, 20'000, "local_timer"},
                               {2'000'000, 30'000, "nothing in the guest"}};
        run.gap_causes = {{"local_timer", run.mode == "off" ? 1u : 0u},
                          {"nothing in the guest", 1}};
    }
    report.runs[0].loops[2].left_out = 7;
    const std::string page = to_html(report);
    for (const char* part :
         {"gaps of their loops, by what the guest did in them",
          "<tr><td>local_timer</td><td>1 (1 to 1)</td><td>0 (0 to 0)</td>",
          "<figcaption>Gaps of the loops, over time (the longest; 7 more are "
          "left out)</figcaption>"})
        EXPECT_NE(page.find(part), std::string::npos) << part;
}

TEST_F(Html, WhatAGuestSaysStaysText)
{
    LabReport report = repeated();
    report.runs[0].workload = "<script>alert(1)</script>";
    report.runs[0].interrupts = {{"'; system 'touch /tmp/x'; \"a\\", 5}};
    report.runs[1].disagreements = {"5 < 6 & \"7\""};
    report.given_up = "<img src=x>";
    const std::string page = to_html(report);
    EXPECT_EQ(page.find("<script"), std::string::npos);
    EXPECT_EQ(page.find("<img src=x>"), std::string::npos);
    EXPECT_NE(page.find("hv, repetition 1: 5 &lt; 6 &amp; &quot;7&quot;"),
              std::string::npos);
}

TEST_F(Html, ModesThatTookNothingHaveNoPlotOfIt)
{
    LabReport report = repeated();
    report.runs = {run_of("hv", 1, 0)};
    const std::string page = to_html(report);
    EXPECT_EQ(page.find("Interrupts that isolated"), std::string::npos);
    EXPECT_EQ(page.find("Interrupts by repetition"), std::string::npos);
    report.runs[0].loops.clear();
    EXPECT_EQ(to_html(report).find("<figure>"), std::string::npos);
}

TEST_F(Html, PlotThatCannotBeDrawnSaysWhy)
{
    try {
        (void)drawn({"bad", "", "plot nonsense(\n"});
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_NE(std::string{failure.what()}.find("could not draw 'bad'"),
                  std::string::npos);
        EXPECT_NE(failure.detail().find("nonsense"), std::string::npos);
    }
}

}  // namespace
}  // namespace ipidefer::report

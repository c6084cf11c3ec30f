// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/outputs.hpp"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "base/failure.hpp"
#include "experiments/report/gaps.hpp"
#include "experiments/report/report_testing.hpp"

namespace ipidefer::report {
namespace {

using test::run_of;

LabReport good_report()
{
    LabReport report;
    report.file = "report.json";
    report.ipidefer = "1.0";
    report.date = "2026-12-01T00:00:00Z";
    report.accelerator = "tcg";
    report.host = "6.1, 2 CPUs";
    report.command_line = "ipidefer lab run";
    report.kernel.version = "6.12.1";
    report.qemu.version = "10.0";
    report.runs = {run_of("off", 1, 20), run_of("hv", 1, 0)};
    return report;
}

LabRuns all_of(const LabReport& report)
{
    LabRuns runs;
    for (const LabRun& run : report.runs) runs.push_back(&run);
    return runs;
}

TEST(Csv, HasALineForEachNumber)
{
    LabReport report = good_report();
    report.runs.resize(1);
    EXPECT_EQ(to_csv(report),
              "run,repetition,arm,mode,workload,kind,row,value,unit\r\n"
              "1,1,off,off,mixed,event,do_sync_core,20,count\r\n"
              "1,1,off,off,mixed,interrupt,CAL,20,count\r\n"
              "1,1,off,off,mixed,interrupt,RES,0,count\r\n"
              "1,1,off,off,mixed,interruptions,vCPU 2,3,count\r\n"
              "1,1,off,off,mixed,longest_gap,vCPU 2,2500000,ns\r\n"
              "1,1,off,off,mixed,duration,workload,1500,ms\r\n"
              "1,1,off,off,mixed,agree,guest and VMM,1,boolean\r\n");
}

TEST(Csv, QuotesWhatWouldBeSeveralFields)
{
    LabReport report = good_report();
    report.runs.resize(1);
    report.runs[0].workload = "a \"b\", c";
    EXPECT_NE(to_csv(report).find("off,off,\"a \"\"b\"\", c\",event"),
              std::string::npos);
}

TEST(Markdown, IsATableOfModes)
{
    EXPECT_EQ(to_markdown(good_report()),
              "## What isolated vCPUs are interrupted by\n"
              "\n"
              "### Workload mixed\n"
              "\n"
              "|  | off | hv |\n"
              "|---|---:|---:|\n"
              "| **events aimed at them** |  |  |\n"
              "| do\\_sync\\_core | 20 | 0 |\n"
              "| **interrupts they took** |  |  |\n"
              "| CAL | 20 | 0 |\n"
              "| all | 20 | 0 |\n"
              "| **and** |  |  |\n"
              "| runs | 1 | 1 |\n"
              "| guest and VMM agree | yes | yes |\n"
              "\n"
              "Medians, with quartiles where there is more than one run. "
              "ipidefer 1.0, 2026-12-01T00:00:00Z, tcg, Linux 6.12.1, QEMU "
              "10.0, on 6.1, 2 CPUs.\n");
}

TEST(Markdown, HasMediansAndWhatWentWrong)
{
    LabReport report = good_report();
    report.runs.push_back(run_of("off", 2, 22));
    report.runs.push_back(run_of("off", 3, 30));
    report.runs[2].agree = false;
    report.starved.push_back({"hv", "hv", 2, "vCPU 2 lost 9 s", false});
    report.starved.push_back({"hv", "hv", 3, "again", true});
    report.given_up = "mode hv: <b>hang</b>";
    const std::string text = to_markdown(report);
    EXPECT_NE(text.find("| CAL | 22 (21 to 26) | 0 |"), std::string::npos);
    EXPECT_NE(text.find("| guest and VMM agree | **no** | yes |"),
              std::string::npos);
    EXPECT_NE(text.find("Left out: repetition 2 of hv: vCPU 2 lost 9 s"),
              std::string::npos);
    EXPECT_EQ(text.find("again"), std::string::npos);
    EXPECT_NE(text.find("hv: \\<b\\>hang\\</b\\>"), std::string::npos);
}

TEST(Junit, HasACaseForEachRunAndWhatCameOfIt)
{
    LabReport report = good_report();
    report.runs[1].agree = false;
    report.runs[1].disagreements = {"CPU 2 took 5 & not <6>"};
    report.starved.push_back({"hv", "hv", 2, "\"lost\"", false});
    report.given_up = "mode hv: hang";
    EXPECT_EQ(
        to_junit(report),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"ipidefer lab\">\n"
        "  <testsuite name=\"mixed\" tests=\"2\" failures=\"1\" errors=\"0\" "
        "skipped=\"0\">\n"
        "    <testcase classname=\"ipidefer.lab\" name=\"off, repetition 1\" "
        "time=\"1.500\"/>\n"
        "    <testcase classname=\"ipidefer.lab\" name=\"hv, repetition 1\" "
        "time=\"1.500\"><failure message=\"guest and VMM do not agree\">"
        "CPU 2 took 5 &amp; not &lt;6&gt;\n</failure></testcase>\n"
        "  </testsuite>\n"
        "  <testsuite name=\"without a workload's result\" tests=\"2\" "
        "failures=\"0\" errors=\"1\" skipped=\"1\">\n"
        "    <testcase classname=\"ipidefer.lab\" name=\"hv, repetition 2\" "
        "time=\"0.000\"><skipped message=\"the host starved it: "
        "&quot;lost&quot;\"/></testcase>\n"
        "    <testcase classname=\"ipidefer.lab\" name=\"given up\" "
        "time=\"0.000\"><error message=\"mode hv: hang\"/></testcase>\n"
        "  </testsuite>\n"
        "</testsuites>\n");
}

TEST(Oslat, HasTheGapsInMicroseconds)
{
    const LabReport report = good_report();
    const auto json =
        nlohmann::json::parse(to_oslat(report, {&report.runs[0]}));
    EXPECT_EQ(json["file_version"], 1);
    EXPECT_EQ(json["return_code"], 0);
    EXPECT_EQ(json["num_threads"], 1);
    const auto& thread = json["thread"]["0"];
    EXPECT_EQ(thread["cpu"], 2);
    EXPECT_EQ(thread["min"], 1);
    EXPECT_EQ(thread["max"], 2500);
    EXPECT_DOUBLE_EQ(thread["avg"], (97 * 1 + 2 * 2 + 2500) / 100.0);
    EXPECT_EQ(thread["histogram"],
              (nlohmann::json{{"1", 97}, {"2", 2}, {"2500", 1}}));
}

TEST(Gaps, OfRepetitionsAreTogether)
{
    const LabReport report = good_report();
    const auto loops = loops_of(all_of(report));
    ASSERT_EQ(loops.size(), 1U);
    const Loop& loop = loops.at(2);
    EXPECT_EQ(loop.interruptions, 6U);
    EXPECT_EQ(loop.gaps, (Gaps{{100, 194}, {1'500, 4}, {2'600'000, 2}}));
    EXPECT_EQ(total_of(loop.gaps), 200U);
}

TEST(Gaps, MustBeThere)
{
    LabReport report = good_report();
    for (LabRun& run : report.runs) run.loops.clear();
    try {
        (void)loops_of(all_of(report));
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.exit(), Exit::kNotPossible);
    }
}

/// Value, share and count of each line.
std::vector<std::array<double, 3>> lines_in(const std::string& hgrm)
{
    std::vector<std::array<double, 3>> lines;
    std::istringstream in{hgrm};
    std::string line;
    std::getline(in, line);
    EXPECT_EQ(line, "       Value     Percentile TotalCount 1/(1-Percentile)");
    while (std::getline(in, line)) {
        std::istringstream fields{line};
        std::array<double, 3> one{};
        if (fields >> one[0] >> one[1] >> one[2]) lines.push_back(one);
    }
    return lines;
}

TEST(Hgrm, EndsWithTheLongestGapAndNeverFalls)
{
    const LabReport report = good_report();
    const std::string text = to_hgrm({&report.runs[0]});
    const auto lines = lines_in(text);
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0], (std::array<double, 3>{0.1, 0.97, 97}));
    EXPECT_EQ(lines[1], (std::array<double, 3>{1.5, 0.99, 99}));
    EXPECT_EQ(lines[2], (std::array<double, 3>{2500, 1, 100}));
    EXPECT_NE(text.find("#[Max     =     2500.000, Total count    =          "
                        "100]"),
              std::string::npos);
}

TEST(Hgrm, HasFewLinesForManyBuckets)
{
    LabReport report = good_report();
    Loop& loop = report.runs[0].loops[2];
    loop.gaps.clear();
    for (std::uint64_t ns = 1; ns <= 100'000; ++ns) loop.gaps[ns] = 1;
    loop.longest_ns = 100'000;
    const auto lines = lines_in(to_hgrm({&report.runs[0]}));
    EXPECT_GT(lines.size(), 50U);
    EXPECT_LT(lines.size(), 120U);
    for (std::size_t i = 1; i < lines.size(); ++i) {
        EXPECT_GT(lines[i][0], lines[i - 1][0]);
        EXPECT_GT(lines[i][1], lines[i - 1][1]);
        EXPECT_NEAR(lines[i][1], lines[i][0] / 100, 1e-9);
    }
    EXPECT_EQ(lines.back()[1], 1);
}

}  // namespace
}  // namespace ipidefer::report

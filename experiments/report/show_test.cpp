// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/report/show.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/failure_testing.hpp"
#include "base/file.hpp"
#include "base/scratch.hpp"
#include "experiments/report/lab_report.hpp"

namespace ipidefer::report {
namespace {

using Json = nlohmann::ordered_json;

Json run_of(const std::string& mode, const std::string& workload)
{
    return {{"mode", mode},
            {"workload", workload},
            {"isolated", {2}},
            {"milliseconds", 10},
            {"guest",
             {{"interrupts", {{"CAL", 5}}},
              {"events", {{"do_sync_core", 5}}},
              {"loop",
               {{"2",
                 {{"interruptions", 1},
                  {"longest_gap_ns", 20'000},
                  {"gaps_ns", {{"100", 50}, {"20100", 1}}}}}}}}},
            {"nested", nullptr},
            {"agree", true},
            {"disagreements", Json::array()}};
}

class Show : public testing::Test {
  protected:
    Show()
    {
        json_ = {{"schema", kReportSchema},
                 {"runs", {run_of("off", "mixed"), run_of("hv", "mixed")}},
                 {"given_up", nullptr},
                 {"starved", Json::array()},
                 {"provenance",
                  {{"ipidefer", "1"},
                   {"date", "today"},
                   {"command_line", "ipidefer lab run"},
                   {"accelerator", "tcg"},
                   {"host", {{"kernel", "6.1"}, {"cpus", 2}}},
                   {"kernel", {{"sha256", nullptr}}},
                   {"qemu", {{"sha256", nullptr}}},
                   {"guests", Json::array()}}}};
        options_.file = (folder_.path() / "report.json").string();
        options_.output = (folder_.path() / "out").string();
    }

    /// What it writes.
    std::string shown()
    {
        write_whole(options_.file, json_.dump());
        EXPECT_EQ(show(options_), 0);
        return read_whole(options_.output);
    }
    std::string refused()
    {
        write_whole(options_.file, json_.dump());
        return refusal_of([&] { return show(options_); });
    }

    Scratch folder_;
    Json json_;
    ShowOptions options_;
};

TEST_F(Show, EachFormat)
{
    EXPECT_NE(shown().find("| CAL | 5 | 5 |"), std::string::npos);
    options_.as = "csv";
    EXPECT_NE(shown().find("2,1,hv,hv,mixed,interrupt,CAL,5,count"),
              std::string::npos);
    options_.as = "junit";
    EXPECT_NE(shown().find("<testsuite name=\"mixed\" tests=\"2\""),
              std::string::npos);
    options_.mode = "hv";
    options_.as = "oslat";
    EXPECT_EQ(Json::parse(shown())["thread"]["0"]["max"], 20);
    options_.as = "hgrm";
    EXPECT_NE(shown().find("Total count    =           51]"),
              std::string::npos);
}

TEST_F(Show, FormatThatThereIsNot)
{
    options_.as = "png";
    EXPECT_EQ(refused(),
              "--as: 'png' is none of csv, hgrm, html, junit, markdown, oslat");
}

TEST_F(Show, GapsAreOfOneModeAndWorkload)
{
    options_.as = "hgrm";
    EXPECT_EQ(refused(), "--mode: needed, one of off, hv");
    options_.mode = "guest";
    EXPECT_EQ(refused(),
              "--mode: 'guest' is not in this report, which has off, hv");
    options_.mode = "hv";
    json_["runs"].push_back(run_of("hv", "thp"));
    EXPECT_EQ(refused(), "--workload: needed, one of mixed, thp");
    options_.workload = "thp";
    EXPECT_EQ(refused(), "");
}

TEST_F(Show, ModeMeansNothingWhereAllAreShown)
{
    options_.mode = "hv";
    EXPECT_EQ(refused(), "--mode: markdown has all of them");
    options_ = {options_.file, "csv", options_.output, "", "mixed"};
    EXPECT_EQ(refused(), "--workload: csv has all of them");
}

TEST_F(Show, ReportWithoutRunsHasNoGaps)
{
    json_["runs"] = Json::array();
    options_.as = "oslat";
    write_whole(options_.file, json_.dump());
    try {
        (void)show(options_);
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.exit(), Exit::kNotPossible);
    }
}

TEST_F(Show, WhatIsNoReportIsSaid)
{
    json_ = Json::object();
    EXPECT_EQ(refused(), options_.file +
                             ": this is no report of 'ipidefer lab run': it "
                             "has no schema");
    json_ = {{"schema", kReportSchema}};
    EXPECT_NE(refused().find("this is no whole report"), std::string::npos);
}

TEST_F(Show, DamagedHistogramIsNamed)
{
    json_["runs"][0]["guest"]["loop"]["2"]["gaps_ns"] = {{"many", 1}};
    EXPECT_EQ(refused(), options_.file +
                             ": this is no whole report of 'ipidefer lab "
                             "run': 'many' is no number of ns");
}

}  // namespace
}  // namespace ipidefer::report

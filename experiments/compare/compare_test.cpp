// SPDX-License-Identifier: GPL-2.0-or-later
// Two reports, from files to the exit status.
#include "experiments/compare/compare.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/scratch.hpp"
#include "experiments/compare/comparability.hpp"
#include "experiments/compare/differences.hpp"

namespace ipidefer::compare {
namespace {

using report::kReportSchema;
using report::read_report;

using Json = nlohmann::ordered_json;

Json run_of(const std::string& mode, unsigned cal, unsigned sync)
{
    Json events = Json::object();
    if (sync != 0) events["do_sync_core"] = sync;
    return {{"mode", mode},
            {"workload", "mixed"},
            {"isolated", {2, 3}},
            {"milliseconds", 1500},
            {"guest",
             {{"interrupts", {{"CAL", cal}, {"RES", 0}, {"LOC", 2}}},
              {"events", events},
              {"loop", Json::object()}}},
            {"nested", nullptr},
            {"agree", true},
            {"disagreements", Json::array()}};
}

Json guest_of(const std::string& mode)
{
    return {{"mode", mode},
            {"kernel_release", "6.12.9"},
            {"kernel_command_line", "ipi_defer=" + mode},
            {"qemu_version", "10.0.3"},
            {"qemu_command_line", {"qemu", "-smp", "4", "-m", "512M"}}};
}

/// off with 20 of CAL, hv with none, `runs` times.
Json report_of(unsigned off = 20, unsigned hv = 0, unsigned runs = 1)
{
    Json report{{"schema", kReportSchema},
                {"runs", Json::array()},
                {"given_up", nullptr},
                {"starved", Json::array()}};
    for (unsigned i = 0; i < runs; ++i) {
        report["runs"].push_back(run_of("off", off + i % 2, off));
        report["runs"].push_back(run_of("hv", hv, 0));
    }
    report["provenance"] = {{"ipidefer", "0.3"},
                            {"date", "2026-11-30T00:00:00Z"},
                            {"accelerator", "tcg"},
                            {"command_line", "ipidefer lab run"},
                            {"host", {{"kernel", "Linux 6.1"}, {"cpus", 2}}},
                            {"kernel", {{"sha256", std::string(64, 'a')}}},
                            {"qemu", {{"sha256", std::string(64, 'b')}}},
                            {"guests", {guest_of("off"), guest_of("hv")}}};
    return report;
}

LabReport read(const Json& json, const std::string& file = "new.json")
{
    return read_report(file, json.dump());
}

/// Two files, and what `ipidefer lab compare` says of them.
class CompareTest : public testing::Test {
  protected:
    int run(const Json& base, const Json& now)
    {
        write_whole(raw_.base, base.dump());
        write_whole(raw_.now, now.dump());
        testing::internal::CaptureStdout();
        try {
            const int status = compare(raw_);
            said_ = testing::internal::GetCapturedStdout();
            return status;
        } catch (const Failure& failure) {
            testing::internal::GetCapturedStdout();
            said_ = failure.what();
            said_ += '\n' + failure.detail();
            // Which folder this is in says nothing.
            for (std::size_t at = 0;
                 (at = said_.find(folder_)) != std::string::npos;)
                said_.erase(at, folder_.size());
            return static_cast<int>(failure.exit());
        }
    }

    Scratch scratch_;
    std::string folder_ = scratch_.path().string() + '/';
    RawOptions raw_{folder_ + "base.json", folder_ + "new.json", {}, {}, {}};
    std::string said_;
};

TEST_F(CompareTest, TableOfOneRunEach)
{
    EXPECT_EQ(run(report_of(), report_of(15)), 0);
    EXPECT_EQ(said_,
              "workload mixed\n"
              "                base  new    difference\n"
              "off, 1 run and 1 run\n"
              "  total           22   17  -5 (-22.7 %)\n"
              "  CAL             20   15    -5 (-25 %)\n"
              "  LOC              2    2             0\n"
              "  do_sync_core    20   15    -5 (-25 %)\n"
              "hv, 1 run and 1 run\n"
              "  total            2    2             0\n"
              "  LOC              2    2             0\n"
              "  CAL              0    0             0\n"
              "  do_sync_core     0    0             0\n");
}

TEST_F(CompareTest, RepetitionsHaveStatistics)
{
    EXPECT_EQ(run(report_of(20, 0, 8), report_of(10, 0, 8)), 0);
    EXPECT_NE(said_.find("off, 8 runs and 8 runs\n"), std::string::npos)
        << said_;
    EXPECT_NE(said_.find("20.5 [20, 21]  10.5 [10, 11]  -10 (-48.8 %)"),
              std::string::npos)
        << said_;
    EXPECT_NE(said_.find("less\n"), std::string::npos) << said_;
    EXPECT_NE(said_.find("no difference seen\n"), std::string::npos) << said_;
    EXPECT_EQ(run(report_of(20, 0, 2), report_of(10, 0, 2)), 0);
    EXPECT_NE(said_.find("too few\n"), std::string::npos) << said_;
}

TEST_F(CompareTest, CriteriaDecide)
{
    raw_.fail_if = {"off.CAL drop > 5%"};
    EXPECT_EQ(run(report_of(), report_of(20)), 0);
    EXPECT_NE(said_.find("not met: off.CAL drop > 5%\n"
                         "  workload mixed: off.CAL is 20, was 20\n"),
              std::string::npos)
        << said_;
    EXPECT_EQ(run(report_of(), report_of(15)), 2);
    EXPECT_NE(said_.find("\nmet: off.CAL drop > 5%\n"
                         "  workload mixed: off.CAL is 15, was 20\n"),
              std::string::npos)
        << said_;
    raw_.fail_if = {"hv.CAL > 0", "hv.total >= 3"};
    EXPECT_EQ(run(report_of(), report_of()), 0);
    EXPECT_EQ(run(report_of(), report_of(20, 1)), 2);
    // An event that came in one report is 0 in the other.
    raw_.fail_if = {"hv.do_sync_core > 0"};
    EXPECT_EQ(run(report_of(), report_of()), 0);
}

TEST_F(CompareTest, CriterionThatIsWrongIsShownWithACaret)
{
    raw_.fail_if = {"off.CAL => 0"};
    EXPECT_EQ(run(report_of(), report_of()), 1);
    EXPECT_EQ(said_,
              "--fail-if: expected one of > >= < <= == !=, not =\n"
              "off.CAL => 0\n"
              "        ^\n");
    raw_.fail_if = {"off.CAL > 0 or guest.CAL > 0"};
    EXPECT_EQ(run(report_of(), report_of()), 1);
    EXPECT_EQ(said_,
              "--fail-if: new.json has no mode 'guest' of workload mixed, but "
              "hv, off\n"
              "off.CAL > 0 or guest.CAL > 0\n"
              "               ^\n");
    raw_.fail_if = {"off.CALL > 0"};
    EXPECT_EQ(run(report_of(), report_of()), 1);
    EXPECT_EQ(said_,
              "--fail-if: no report has a row 'CALL'; a ? behind it has it "
              "count as 0. There are total, CAL, LOC, RES, do_sync_core\n"
              "off.CALL > 0\n"
              "    ^\n");
    raw_.fail_if = {"off.CALL? > 0"};
    EXPECT_EQ(run(report_of(), report_of()), 0);
    // The sum is a word, and no row.
    raw_.fail_if = {"off.'total' > 0"};
    EXPECT_EQ(run(report_of(), report_of()), 1);
}

TEST_F(CompareTest, ModeOfTheBaseIsMissingOnlyWhereItIsAskedFor)
{
    Json base = report_of();
    base["runs"].erase(1);
    raw_.fail_if = {"hv.CAL > 0"};
    EXPECT_EQ(run(base, report_of()), 0);
    EXPECT_NE(said_.find("note: workload mixed, mode hv is only in "),
              std::string::npos);
    raw_.fail_if = {"hv.CAL rise > 0"};
    EXPECT_EQ(run(base, report_of()), 1);
    EXPECT_NE(said_.find("base.json has no mode 'hv'"), std::string::npos);
}

TEST_F(CompareTest, WhatCannotBeCompared)
{
    struct Case {
        const char* path;
        Json value;
        const char* why;
    };
    const Case cases[] = {
        {"/provenance/accelerator", "kvm",
         "the accelerator was 'tcg' and is 'kvm'; --across accelerator "
         "compares them"},
        {"/provenance/guests/0/kernel_release", "6.13.0",
         "the guest's kernel was '6.12.9' and is '6.13.0'; --across kernel "
         "compares them"},
        {"/provenance/guests/0/qemu_version", "10.1.0",
         "QEMU was '10.0.3' and is '10.1.0'; --across qemu compares them"},
        {"/provenance/guests/0/qemu_command_line/2", "8",
         "the number of vCPUs was '4' and is '8'"},
        {"/provenance/guests/0/qemu_command_line/4", "1G",
         "the guest's memory was '512M' and is '1G'"},
        {"/runs/0/isolated",
         {1, 2, 3},
         "of workload mixed the list of isolated vCPUs was '2-3' and is "
         "'1-3'"},
        {"/runs/0/nested", Json::object(),
         "of workload mixed only new.json has nested guests"},
        {"/runs", Json::array(), "new.json has no runs"},
    };
    for (const auto& [path, value, why] : cases) {
        Json now = report_of();
        now[Json::json_pointer{path}] = value;
        EXPECT_EQ(run(report_of(), now), 77) << path;
        EXPECT_EQ(said_, "base.json and new.json cannot be compared:\n  " +
                             std::string{why} + '\n');
    }
    Json other = report_of();
    for (Json& run : other["runs"]) run["workload"] = "bpf";
    EXPECT_EQ(run(report_of(), other), 77);
    EXPECT_NE(said_.find("no workload is in both: mixed was, and bpf is"),
              std::string::npos);
    other = report_of();
    for (Json& run : other["runs"]) run["mode"] = "guest";
    EXPECT_EQ(run(report_of(), other), 77);
    EXPECT_NE(said_.find("no workload has a mode that is in both"),
              std::string::npos);
}

TEST_F(CompareTest, AcrossWhatIsToDiffer)
{
    Json now = report_of();
    now["provenance"]["guests"][0]["kernel_release"] = "6.13.0";
    raw_.across = {"kernel"};
    EXPECT_EQ(run(report_of(), now), 0);
    EXPECT_NE(
        said_.find("note: the guest's kernel was '6.12.9' and is '6.13.0'\n"),
        std::string::npos)
        << said_;
    raw_.across = {"qemu"};
    EXPECT_EQ(run(report_of(), now), 77);
    raw_.across = {"host"};
    EXPECT_EQ(run(report_of(), now), 1);
    EXPECT_EQ(said_,
              "--across: 'host' is not one of kernel, qemu, accelerator\n");
}

TEST_F(CompareTest, WhatIsNoReport)
{
    EXPECT_EQ(run(report_of(), Json::array()), 1);
    EXPECT_EQ(said_,
              "new.json: this is no report of 'ipidefer lab run': it has no "
              "schema\n");
    Json other = report_of();
    other["schema"] = "ipidefer-lab/2";
    EXPECT_EQ(run(report_of(), other), 77);
    EXPECT_EQ(said_,
              "new.json: its schema is 'ipidefer-lab/2', and only "
              "'ipidefer-lab/1' can be compared\n");
    other = report_of();
    other["runs"][0].erase("guest");
    EXPECT_EQ(run(report_of(), other), 1);
    EXPECT_NE(said_.find("this is no whole report"), std::string::npos);
    other = report_of();
    for (const Json& bad : {Json("many"), Json(-1), Json(0.5), Json(nullptr)}) {
        other = report_of();
        other["runs"][0]["guest"]["interrupts"]["CAL"] = bad;
        EXPECT_EQ(run(report_of(), other), 1);
        EXPECT_EQ(said_,
                  "new.json: this is no whole report of 'ipidefer lab run': "
                  "interrupts 'CAL' has no count\n");
    }
    raw_.base = folder_ + "none.json";
    write_whole(raw_.now, "{");
    EXPECT_THROW((void)compare({"/nonexistent", raw_.now, {}, {}, {}}),
                 Failure);
    EXPECT_THROW((void)compare({raw_.now, raw_.now, {}, {}, {}}), Failure);
}

TEST_F(CompareTest, NotesAreOfWhatDiffersAndWhatIsMissing)
{
    Json now = report_of();
    now["provenance"]["kernel"]["sha256"] = std::string(64, 'c');
    now["provenance"]["guests"][1]["kernel_command_line"] = "more";
    now["given_up"] = {{"mode", "guest"}, {"reason", "a panic"}};
    for (const bool retried : {true, false})
        now["starved"].push_back(
            {{"mode", "hv"}, {"reason", "a stall"}, {"retried", retried}});
    now["runs"][1]["agree"] = false;
    EXPECT_EQ(notes(read(report_of(), "base.json"), read(now)),
              (std::vector<std::string>{
                  "the build of the guest's kernel (its SHA-256) was "
                  "'aaaaaaaaaaaa' and is 'cccccccccccc'",
                  "the kernel's command line in mode hv was 'ipi_defer=hv' and "
                  "is 'more'",
                  "new.json: the lab stopped with a defect in mode guest: a "
                  "panic",
                  "new.json: the host starved 1 guest, and what these should "
                  "have shown is left out",
                  "new.json: guest and VMM disagree in 1 of 2 runs"}));
    EXPECT_TRUE(notes(read(report_of()), read(report_of())).empty());
}

TEST_F(CompareTest, ReportForPrograms)
{
    raw_.json = folder_ + "out.json";
    raw_.fail_if = {"off.CAL drop > 5%"};
    EXPECT_EQ(run(report_of(20, 0, 8), report_of(10, 0, 8)), 2);
    const Json json = Json::parse(read_whole(raw_.json));
    EXPECT_EQ(json["schema"], "ipidefer-lab-compare/1");
    EXPECT_EQ(json["base"]["kernel"]["version"], "6.12.9");
    EXPECT_EQ(json["new"]["file"], raw_.now);
    EXPECT_EQ(json["criteria"],
              Json::array({{{"expression", "off.CAL drop > 5%"},
                            {"workload", "mixed"},
                            {"met", true},
                            {"because", {"off.CAL is 10.5, was 20.5"}}}}));
    const Json cal = json["workloads"][0]["modes"][0]["rows"][1];
    EXPECT_EQ(cal["row"], "CAL");
    EXPECT_EQ(cal["base"], Json({20, 21, 20, 21, 20, 21, 20, 21}));
    EXPECT_EQ(cal["difference"], -10);
    EXPECT_EQ(cal["comparison"]["verdict"], "less");
    raw_.json = "/nonexistent/out.json";
    EXPECT_EQ(run(report_of(), report_of()), 1);
}

TEST(LabReport, RowsThatBothHaveAreInterruptsFirst)
{
    Json json = report_of();
    json["runs"][0]["guest"]["events"]["CAL"] = 99;
    const LabReport report = read(json);
    const auto runs = runs_of(report, "mixed", "off");
    EXPECT_EQ(row_of(runs, "CAL"), statistics::Sample{20});
    EXPECT_EQ(total_of(runs), statistics::Sample{22});
}

}  // namespace
}  // namespace ipidefer::compare

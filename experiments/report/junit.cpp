// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "base/xml.hpp"
#include "experiments/report/outputs.hpp"

namespace ipidefer::report {
namespace {

struct Suite {
    std::string cases;
    unsigned tests = 0;
    unsigned failures = 0;
    unsigned errors = 0;
    unsigned skipped = 0;

    void add(const std::string& name, double seconds,
             const std::string& outcome)
    {
        ++tests;
        cases += fmt::format(
            "    <testcase classname=\"ipidefer.lab\" name=\"{}\" "
            "time=\"{:.3f}\"",
            xml(name), seconds);
        cases += outcome.empty() ? "/>\n" : ">" + outcome + "</testcase>\n";
    }
    [[nodiscard]] std::string text(const std::string& name) const
    {
        return fmt::format(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" "
            "errors=\"{}\" skipped=\"{}\">\n{}  </testsuite>\n",
            xml(name), tests, failures, errors, skipped, cases);
    }
};

}  // namespace

std::string to_junit(const LabReport& report)
{
    constexpr double kMillisecondsInASecond = 1000;
    std::string text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"ipidefer lab\">\n";
    for (const std::string& workload : workloads_of(report)) {
        Suite suite;
        for (const LabRun& run : report.runs) {
            if (run.workload != workload) continue;
            std::string outcome;
            if (!run.agree) {
                ++suite.failures;
                outcome = "<failure message=\"guest and VMM do not agree\">";
                for (const std::string& why : run.disagreements)
                    outcome += xml(why) + "\n";
                outcome += "</failure>";
            }
            suite.add(
                fmt::format("{}, repetition {}", run.arm, run.repetition),
                static_cast<double>(run.milliseconds) / kMillisecondsInASecond,
                outcome);
        }
        text += suite.text(workload);
    }
    Suite whole;
    for (const Starved& starved : report.starved) {
        if (starved.retried) continue;
        ++whole.skipped;
        whole.add(
            fmt::format("{}, repetition {}", starved.arm, starved.repetition),
            0,
            "<skipped message=\"the host starved it: " + xml(starved.reason) +
                "\"/>");
    }
    if (report.given_up) {
        ++whole.errors;
        whole.add("given up", 0,
                  "<error message=\"" + xml(*report.given_up) + "\"/>");
    }
    if (whole.tests != 0) text += whole.text("without a workload's result");
    return text + "</testsuites>\n";
}

}  // namespace ipidefer::report

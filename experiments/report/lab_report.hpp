// SPDX-License-Identifier: GPL-2.0-or-later
// A lab's report, as far as it is shown or compared: read from what
// `ipidefer lab run --json` writes (docs/LAB.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "experiments/report/factors.hpp"
#include "experiments/statistics/sample.hpp"

namespace ipidefer::report {

/// Of what the lab writes, and of what is read here.
inline constexpr char kReportSchema[] = "ipidefer-lab/1";

using RowCounts = std::map<std::string, std::uint64_t>;

/// The longest one that is read.
inline constexpr std::size_t kMostReportBytes = std::size_t{256} << 20;

/// Nanoseconds, the greatest number of a bucket -> how many gaps lie there.
using Gaps = std::map<std::uint64_t, std::uint64_t>;

/// One of those that were longer than the lab's threshold.
struct ListedGap {
    std::uint64_t start_ns = 0;
    std::uint64_t length_ns = 0;
    /// What the guest's kernel did meanwhile.
    std::string cause;
};

/// What an isolated vCPU's loop saw by the clock.
struct Loop {
    std::uint64_t interruptions = 0;
    std::uint64_t longest_ns = 0;
    /// Empty in reports of labs that had no histograms.
    Gaps gaps;
    /// The longest, by time; empty in reports of labs that listed none.
    std::vector<ListedGap> listed{};
    /// How many there were besides.
    std::uint64_t left_out = 0;
};

/// One workload in one guest.
struct LabRun {
    /// With the factors of a sweep, since only what has the same is compared:
    /// "mixed, cpus=8".
    std::string workload;
    /// Without them.
    std::string script;
    Factors factors;
    std::string mode;
    /// The mode, but "off/A" or "off/B" of repetitions.
    std::string arm;
    unsigned repetition = 1;
    std::uint64_t milliseconds = 0;
    /// Row of /proc/interrupts to interrupts taken on isolated vCPUs.
    RowCounts interrupts;
    /// Callback or typed work to events aimed at them.
    RowCounts events;
    /// Cause to listed gaps, of all isolated vCPUs.
    RowCounts gap_causes;
    std::vector<unsigned> isolated;
    /// By vCPU; empty with nested guests.
    std::map<unsigned, Loop> loops;
    bool nested = false;
    bool agree = true;
    std::vector<std::string> disagreements;
};

/// An attempt that the host starved.
struct Starved {
    std::string mode;
    std::string arm;
    unsigned repetition = 1;
    std::string reason;
    bool retried = false;
};

/// Kernel or QEMU: its version, and the hash of its file; empty where the
/// report does not know.
struct Program {
    std::string version;
    std::string sha256;
};

struct LabReport {
    /// The file's name, for messages.
    std::string file;
    std::string ipidefer;
    std::string date;
    std::string accelerator;
    std::string host;
    /// The lab's.
    std::string command_line;
    /// Of the order of repetitions; 1 without any.
    std::uint64_t seed = 1;
    Program kernel;
    Program qemu;
    /// QEMU's -smp and -m.
    std::string cpus;
    std::string memory;
    /// Mode to the guest's command line, of the first guest that had it.
    std::map<std::string, std::string> command_lines;
    std::vector<LabRun> runs;
    /// Why the lab stopped, if it did.
    std::optional<std::string> given_up;
    std::vector<Starved> starved;
    /// Of these, those that were not made again.
    [[nodiscard]] std::size_t left_out() const;
};

/// Throws a Failure that names the file: of Exit::kCannotRun for what is no
/// report, of Exit::kNotPossible for a report of another schema.
[[nodiscard]] LabReport read_report(const std::string& file,
                                    std::string_view text);

/// Names from reports, for messages.
template <class Names>
[[nodiscard]] std::string listed(const Names& names)
{
    std::string list;
    for (const std::string& name : names)
        list += (list.empty() ? "" : ", ") + printable(name);
    return list;
}

/// In the order in which they ran first, each once.
[[nodiscard]] std::vector<std::string> workloads_of(const LabReport& report);
[[nodiscard]] std::vector<std::string> modes_of(const LabReport& report,
                                                const std::string& workload);

/// Those of one workload in one mode.
using LabRuns = std::vector<const LabRun*>;
[[nodiscard]] LabRuns runs_of(const LabReport& report,
                              const std::string& workload,
                              const std::string& mode);

/// What a row counts of: interrupts if it is one of their rows, else events.
/// Rows that a run does not have are 0 in it.
[[nodiscard]] statistics::Sample row_of(const LabRuns& runs,
                                        const std::string& row);
/// Whether guest and VMM do, in all of them.
[[nodiscard]] bool all_agree(const LabRuns& runs);

/// All interrupts that isolated vCPUs took in one run.
[[nodiscard]] double interrupts_of(const LabRun& run);
/// The same of each.
[[nodiscard]] statistics::Sample total_of(const LabRuns& runs);

/// Whether any of the runs has the row, be it with a count of 0.
[[nodiscard]] bool has_row(const LabReport& report, const std::string& row);

}  // namespace ipidefer::report

// SPDX-License-Identifier: GPL-2.0-or-later
// What the lab and its agent in the guest say to each other over the second
// serial port: one JSON object per line. The agent begins with kReady; then it
// answers each command with one object, which has kError if it failed. Before
// the answer there may be others with kAlive: the command still advances.
// Reports of the kernel travel as the kernel wrote them: the host reads them,
// where reading them is tested.
#pragma once

namespace ipidefer::lab::protocol {

/// Where things lie in the guest, out of the way of the user's own root.
inline constexpr char kRoot[] = "/lab";
inline constexpr char kAgent[] = "/lab/agent";
inline constexpr char kBusybox[] = "/lab/busybox";
inline constexpr char kBin[] = "/lab/bin";
inline constexpr char kModules[] = "/lab/modules";
inline constexpr char kWorkloads[] = "/lab/workloads";

/// For nested guests: the VMM, and what it runs.
inline constexpr char kVmm[] = "/lab/ipidefer-vmm-static";
inline constexpr char kVmmGuest[] = "/lab/kvm-guest.elf";

inline constexpr char kPort[] = "/dev/ttyS1";

// Members of what the host sends.
inline constexpr char kCommand[] = "command";
inline constexpr char kIsolated[] = "isolated";  // array of CPU numbers
inline constexpr char kHousekeeping[] = "housekeeping";
inline constexpr char kEvents[] = "events";  // array of kName/kEvent/kTrigger
inline constexpr char kName[] = "name";
inline constexpr char kEvent[] = "event";        // folder/name in tracefs
inline constexpr char kTrigger[] = "trigger";    // what to write to its trigger
inline constexpr char kRecorded[] = "recorded";  // array of patterns of those
inline constexpr char kThresholdNs[] = "threshold_ns";
inline constexpr char kNested[] = "nested";      // guests in place of loops
inline constexpr char kWorkload[] = "workload";  // file name in kWorkloads

// Commands.
inline constexpr char kPrepare[] = "prepare";
inline constexpr char kStartLoops[] = "start-loops";
inline constexpr char kMarkLoops[] = "mark-loops";
inline constexpr char kStopLoops[] = "stop-loops";
inline constexpr char kStats[] = "stats";
inline constexpr char kSnapshot[] = "snapshot";
inline constexpr char kHistograms[] = "histograms";  // of the loops' gaps
inline constexpr char kRun[] = "run";
inline constexpr char kPowerOff[] = "power-off";

// Members of answers.
inline constexpr char kReady[] = "ready";
inline constexpr char kError[] = "error";
inline constexpr char kAlive[] = "alive";
inline constexpr char kOnline[] = "online";  // CPU list, as Linux writes it
inline constexpr char kResent[] = "resent";  // typed IPIs, text, or null
inline constexpr char kRelease[] = "release";
inline constexpr char kVersion[] = "version";
inline constexpr char kCommandLine[] = "command_line";
inline constexpr char kMessages[] = "messages";  // the kernel's on ipi_defer
inline constexpr char kMissing[] = "missing";    // what this kernel lacks
inline constexpr char kInterrupts[] = "interrupts";
inline constexpr char kHists[] = "hists";  // name -> text
inline constexpr char kLoops[] = "loops";  // array of kCpu...
inline constexpr char kCpu[] = "cpu";
inline constexpr char kGaps[] = "interruptions";
inline constexpr char kLongestCycles[] = "longest_gap_cycles";
inline constexpr char kUpToNs[] = "up_to_ns";  // of buckets, beside kCounts
inline constexpr char kCounts[] = "counts";
// The gaps one by one, cycles of the TSC, and what the kernel recorded.
inline constexpr char kCyclesPerNs[] = "cycles_per_ns";
inline constexpr char kMarkedAt[] = "marked_at";
inline constexpr char kStarts[] = "starts";
inline constexpr char kLengths[] = "lengths";
inline constexpr char kLeftOut[] = "left_out";
inline constexpr char kTrace[] = "trace";  // as the kernel wrote it
inline constexpr char kTraceStats[] = "trace_stats";
inline constexpr char kLongestNs[] = "longest_gap_ns";
// What became of the process: its state as in /proc/PID/stat (empty when it has
// ended), where it runs, and how often it gave its CPU away by itself.
inline constexpr char kState[] = "state";
inline constexpr char kRunsOn[] = "runs_on";
inline constexpr char kLeft[] = "left";
inline constexpr char kNestedGuests[] = "nested_guests";  // of kCpu...
inline constexpr char kExits[] = "exits";
inline constexpr char kInterruptExits[] = "interrupt_exits";
inline constexpr char kStatus[] = "status";  // of a workload, as a shell's $?
inline constexpr char kOutput[] = "output";  // its end

}  // namespace ipidefer::lab::protocol

// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/agreement.hpp"

#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <cstddef>
#include <set>

#include "experiments/lab/events.hpp"
#include "experiments/lab/typed_work.hpp"

namespace ipidefer::lab {
namespace {

std::string str(std::uint64_t n) { return std::to_string(n); }

/// Nothing without the object, or for a vCPU that it does not know.
const VmmCpu* vmm_cpu(const Snapshot& snapshot, unsigned cpu)
{
    if (!snapshot.vmm) return nullptr;
    const auto found = snapshot.vmm->find(cpu);
    return found == snapshot.vmm->end() ? nullptr : &found->second;
}

/// The binding for a work: the guest registers them in the order of its
/// statistics.
const VmmBinding* binding_of(const Snapshot& snapshot, unsigned cpu,
                             const std::string& work)
{
    const VmmCpu* const seen = vmm_cpu(snapshot, cpu);
    if (seen == nullptr || !snapshot.stats) return nullptr;
    const auto& works = snapshot.stats->works;
    const auto at = static_cast<std::size_t>(std::ranges::find(works, work) -
                                             works.begin());
    const auto& bindings = seen->bindings;
    return at < bindings.size() ? &bindings[at] : nullptr;
}

WorkStats row_of(const Snapshot& snapshot, unsigned cpu,
                 const std::string& work)
{
    if (!snapshot.stats) return {};
    const auto found = snapshot.stats->rows.find({cpu, work});
    return found == snapshot.stats->rows.end() ? WorkStats{} : found->second;
}

std::uint64_t interrupts_of(const Snapshot& snapshot, unsigned cpu,
                            std::string_view row)
{
    const auto found = snapshot.interrupts.rows.find(std::string{row});
    if (found == snapshot.interrupts.rows.end()) return 0;
    const auto taken = found->second.taken.find(cpu);
    return taken == found->second.taken.end() ? 0 : taken->second;
}

terms::VerdictCounts verdicts_of(const Snapshot& snapshot, unsigned cpu,
                                 unsigned vector)
{
    const VmmCpu* const seen = vmm_cpu(snapshot, cpu);
    if (seen == nullptr) return {};
    const auto counted = seen->by_vector.find(vector);
    return counted == seen->by_vector.end() ? terms::VerdictCounts{}
                                            : counted->second;
}

/// How many of the deliveries of a vector were no interrupts of their own;
/// nothing where the VMM does not count them.
std::optional<std::uint64_t> merged_of(const Snapshot& snapshot, unsigned cpu,
                                       unsigned vector)
{
    const VmmCpu* const seen = vmm_cpu(snapshot, cpu);
    if (seen == nullptr) return std::nullopt;
    const auto counted = seen->merged.find(vector);
    if (counted == seen->merged.end()) return std::nullopt;
    return counted->second;
}

/// All checks of one vCPU and one kind of work, from A to C.
class Checks {
  public:
    Checks(Mode mode, const Snapshots& at, unsigned cpu,
           const std::string& work, std::vector<std::string>& found)
        : mode_{mode},
          at_{at},
          cpu_{cpu},
          work_{work},
          found_{found},
          first_{row_of(at.a, cpu, work)},
          last_{row_of(at.c, cpu, work)}
    {
    }

    [[nodiscard]] std::uint64_t requested() const
    {
        return last_.requested - first_.requested;
    }
    [[nodiscard]] std::uint64_t delivered() const
    {
        return last_.delivered - first_.delivered;
    }
    [[nodiscard]] std::uint64_t flushed() const
    {
        return last_.flushed - first_.flushed;
    }

    /// The guest against itself: statistics, interrupts and trace events are
    /// three counts of the same.
    void guest()
    {
        if (const auto typed = typed_work(work_);
            typed && at_.c.interrupts.rows.contains(std::string{typed->row}))
            equal(delivered(), "delivered by its statistics",
                  interrupts_of(at_.c, cpu_, typed->row) -
                      interrupts_of(at_.a, cpu_, typed->row),
                  "taken by /proc/interrupts");
        if (counts_requests(at_.c)) {
            const auto traced = traced_requests(at_.a, at_.c);
            const auto mine = traced.find({cpu_, work_});
            equal(requested(), "requested by its statistics",
                  mine == traced.end() ? 0 : mine->second,
                  "by its trace events");
        }
        // The event stands for the work that context tracking does.
        if (const auto typed = typed_work(work_);
            typed && typed->flush_traced && counts_flushes(at_.c)) {
            const auto traced = traced_flushes(at_.a, at_.c);
            const auto mine = traced.find(cpu_);
            equal(flushed(), "flushed by its statistics",
                  mine == traced.end() ? 0 : mine->second,
                  "by its trace events");
        }
    }

    /// I5: what was asked for is done, or it is recorded and will be.
    void nothing_owed()
    {
        const std::uint64_t requests = last_.seq - first_.seq;
        // A request that this vCPU sent itself is not one that it publishes,
        // so only if all of them were aimed at it is the last one its own.
        if (requests == 0 || requested() != requests) return;
        if (last_.done >= last_.seq || pending(at_.c, cpu_, work_)) return;
        say("owes work: request " + str(last_.seq) + " is not done (done: " +
            str(last_.done) + "), and it is not recorded either (I5)");
    }

    /// From A to B the loop makes no system call. Only other interrupts take
    /// it into the kernel, where typed ones are delivered.
    void loop_undisturbed()
    {
        std::uint64_t others = 0;
        for (const auto& row : at_.b.interrupts.rows)
            if (std::ranges::none_of(kTypedWorks, [&](const auto& known) {
                    return known.row == row.first &&
                           (known.deferred_in_guest || at_.b.nested.empty());
                }))
                others += taken_by_loop(row.first);
        const auto typed = typed_work(work_);
        // While a nested guest runs, this kind is delivered, and brings others.
        if (typed && !typed->deferred_in_guest && !at_.b.nested.empty()) return;
        const std::uint64_t taken =
            typed ? taken_by_loop(typed->row)
                  : row_of(at_.b, cpu_, work_).delivered - first_.delivered;
        // What is sent again comes even to a loop in userspace, if its target
        // has answered the first one by then.
        const std::uint64_t again = sent_past_the_word(at_.b);
        if (taken <= others + again) return;
        const std::string sent_again =
            again == 0 ? std::string{}
                       : ", and " + str(again) + " were sent again";
        if (always_in_kernel())
            say(str(taken) +
                " typed interrupts came while the vCPU was in the kernel by "
                "its word, but only " +
                str(others) + " others can have taken it there" + sent_again +
                ": something else than its loop ran on it, or the word was "
                "wrong");
        else
            say("its loop was interrupted in userspace: " + str(taken) +
                " typed interrupts, but only " + str(others) +
                " others that can have taken it into the kernel" + sent_again);
    }

    /// The sender counts what it records, the target what it takes (I1).
    void guest_mode()
    {
        const auto suppressed =
            static_cast<std::uint64_t>(last_.suppressed - first_.suppressed);
        // An IPI that is sent again is no other request here: it may be one
        // more interrupt.
        near(requested(), "requested", suppressed + delivered(),
             "suppressed and delivered", {resent(at_.c), kSentAgain},
             {flushed(), kMerged});
    }

    void hv_mode()
    {
        const VmmBinding* binding = binding_of(at_.c, cpu_, work_);
        if (binding == nullptr) {
            say("has nothing registered with the VMM");
            return;
        }
        const terms::VerdictCounts vmm =
            verdicts_of(at_.c, cpu_, binding->vector) -
            verdicts_of(at_.a, cpu_, binding->vector);
        equal(requested(), "requested", vmm.recorded() + vmm.delivered(),
              "deferred, coalesced and delivered by the VMM (I1)");
        // Two of them may be one interrupt, but none may be two. A vector
        // without counters at A had nothing to merge until then.
        const Bound unseen{sent_past_the_word(at_.c), kSentAgain};
        if (const auto merged = merged_of(at_.c, cpu_, binding->vector))
            near(delivered() + *merged -
                     merged_of(at_.a, cpu_, binding->vector).value_or(0),
                 "taken or merged with one that was", vmm.delivered(),
                 "delivered by the VMM (I1)", {}, unseen);
        else
            near(delivered(), "taken", vmm.delivered(),
                 "delivered by the VMM (I1)",
                 {flushed() + (at_.c.sees_icr ? resent(at_.c) : 0), kMerged},
                 unseen);
        // Isolated, bound and allowed: then only the word decides.
        for (const auto verdict :
             {IPIDEFER_DELIVERED_NOT_ISOLATED, IPIDEFER_DELIVERED_NOT_BOUND,
              IPIDEFER_DELIVERED_POLICY, IPIDEFER_DELIVERED_BAD_WORD})
            if (vmm[verdict] != 0)
                say("the VMM's verdict was " + str(vmm[verdict]) + " times " +
                    ipidefer_verdict_name(verdict));
        // Of the bits set since A, those that C does not show were flushed; a
        // bit that A shows was too.
        const std::uint64_t set =
            vmm[IPIDEFER_DEFERRED] + (pending(at_.a, cpu_, work_) ? 1u : 0u);
        equal(flushed() + (pending(at_.c, cpu_, work_) ? 1u : 0u),
              "flushed or pending", set,
              "deferred by the VMM or pending before (I9)");
    }

  private:
    /// By how much two numbers may differ, and why.
    struct Bound {
        std::uint64_t most = 0;
        const char* why = "";
    };
    static constexpr char kMerged[] = "can be merged";
    static constexpr char kSentAgain[] = "were sent again";

    /// IPIs that were sent again since A, to any vCPU: an upper bound for this
    /// one.
    [[nodiscard]] std::uint64_t resent(const Snapshot& until) const
    {
        return until.resent - at_.a.resent;
    }

    /// Of these, those that nobody held against the vCPU's word. The kernel
    /// sends them by the local APIC. Where the VMM sees that, it decides once
    /// more, and counts; elsewhere they are interrupts, whatever the vCPU does,
    /// and none that the VMM knows of.
    [[nodiscard]] std::uint64_t sent_past_the_word(const Snapshot& until) const
    {
        return in_the_guest(mode_) == Mode::kHv && until.sees_icr
                   ? 0
                   : resent(until);
    }

    /// Two numbers that may differ, as an interrupt that is delivered while
    /// another by its vector is pending (in the IRR) is not one more. Where
    /// nobody counts how often that happens, there is a bound. Linux sends work
    /// of a kind one request at a time (text_mutex, vmap_purge_lock), and a
    /// sender waits. So another comes while one is pending only if the sender
    /// was answered otherwise: by a flush, which answers at most one that way,
    /// as the next sender waits for the interrupt; or if it was late, and sent
    /// again. The latter is not one less where the VMM does not see what is
    /// sent again, and counts it neither if it is merged nor if it is not.
    /// @param max_below by how much `one` may be the lesser, `max_above` the
    /// greater
    void near(std::uint64_t one, const std::string& what, std::uint64_t other,
              const std::string& what_else, const Bound& max_below,
              const Bound& max_above)
    {
        const bool below = one < other;
        const std::uint64_t difference = below ? other - one : one - other;
        const Bound& limit = below ? max_below : max_above;
        if (difference <= limit.most) return;
        say(str(one) + " " + what + ", but " + str(other) + " " + what_else +
            (limit.most == 0
                 ? std::string{}
                 : ": they differ by " + str(difference) + ", and at most " +
                       str(limit.most) + ' ' + limit.why));
    }

    /// By the VMM's verdicts from A to B.
    [[nodiscard]] bool always_in_kernel() const
    {
        const VmmBinding* binding = binding_of(at_.b, cpu_, work_);
        if (binding == nullptr) return false;
        const terms::VerdictCounts vmm =
            verdicts_of(at_.b, cpu_, binding->vector) -
            verdicts_of(at_.a, cpu_, binding->vector);
        return vmm.delivered() != 0 &&
               vmm.delivered() == vmm[IPIDEFER_DELIVERED_IN_KERNEL];
    }

    [[nodiscard]] std::uint64_t taken_by_loop(std::string_view row) const
    {
        return interrupts_of(at_.b, cpu_, row) -
               interrupts_of(at_.a, cpu_, row);
    }

    void say(const std::string& what)
    {
        found_.push_back("vCPU " + std::to_string(cpu_) + ", " + work_ + ": " +
                         what);
    }

    void equal(std::uint64_t one, const std::string& what, std::uint64_t other,
               const std::string& what_else)
    {
        if (one == other) return;
        say(str(one) + " " + what + ", but " + str(other) + " " + what_else);
    }

    Mode mode_;
    const Snapshots& at_;
    unsigned cpu_;
    const std::string& work_;
    std::vector<std::string>& found_;
    WorkStats first_;
    WorkStats last_;
};

/// QMP and the segment are two ways to the same counters.
void segment_agrees(const Snapshot& at, const std::string& which,
                    std::vector<std::string>& found)
{
    if (!at.vmm || !at.segment || !at.consistent) return;
    SegmentReport by_qmp;
    for (const auto& [cpu, now] : *at.vmm)
        for (const auto& [vector, verdicts] : now.by_vector)
            if (verdicts.recorded() + verdicts.delivered() != 0)
                by_qmp[{cpu, vector}] = verdicts;
    std::set<SegmentReport::key_type> keys;
    for (const auto& [key, verdicts] : by_qmp) keys.insert(key);
    for (const auto& [key, verdicts] : *at.segment) keys.insert(key);
    for (const auto& key : keys) {
        const auto qmp = by_qmp.find(key);
        const auto segment = at.segment->find(key);
        if (qmp != by_qmp.end() && segment != at.segment->end() &&
            qmp->second == segment->second)
            continue;
        found.push_back("vCPU " + std::to_string(key.first) + ", vector " +
                        std::to_string(key.second) +
                        ": its verdicts by QMP and in the segment differ " +
                        which);
    }
}

/// Without a registration the VMM has nothing to decide (I3).
void vmm_stays_out(const Snapshots& at, std::vector<std::string>& found)
{
    if (!at.c.vmm) return;
    for (const auto& [cpu, now] : *at.c.vmm)
        for (const auto& [vector, verdicts] : now.by_vector) {
            const auto gained = verdicts - verdicts_of(at.a, cpu, vector);
            if (const auto sum = gained.recorded() + gained.delivered();
                sum != 0)
                found.push_back("vCPU " + std::to_string(cpu) + ", vector " +
                                std::to_string(vector) + ": the VMM decided " +
                                str(sum) +
                                " times, though this guest does not use it");
        }
}

}  // namespace

bool under_way(const Snapshot& at, const CpuSet& isolated)
{
    if (!at.stats) return false;
    for (const unsigned cpu : isolated)
        for (const auto& work : at.stats->works) {
            const VmmBinding* binding = binding_of(at, cpu, work);
            if (binding == nullptr) continue;
            const auto merged = merged_of(at, cpu, binding->vector);
            if (merged && row_of(at, cpu, work).delivered + *merged <
                              verdicts_of(at, cpu, binding->vector).delivered())
                return true;
        }
    return false;
}

std::string loops_left(const Snapshots& at)
{
    std::string all;
    for (const auto& [cpu, after] : at.b.loops) {
        const auto before = at.a.loops.find(cpu);
        std::string why;
        if (after.state == '\0' || after.state == 'Z' || after.state == 'X')
            why = "has ended";
        else if (after.state == 'T' || after.state == 't')
            why = "is stopped";
        else if (after.runs_on != cpu)
            why = "was moved to vCPU " + std::to_string(after.runs_on);
        else if (before != at.a.loops.end() &&
                 after.left != before->second.left)
            why = "was stopped or moved " +
                  str(after.left - before->second.left) + " times";
        if (why.empty()) continue;
        if (!all.empty()) all += "; ";
        all += "the loop of vCPU " + std::to_string(cpu) + ' ' + why;
    }
    return all;
}

std::string missing_cpus(const CpuSet& isolated, const std::string& online,
                         const std::string& append)
{
    // The guest's text: no VM has more vCPUs.
    const CpuSet missing =
        without(isolated, parse_cpulist(online, IPIDEFER_MAX_VCPUS));
    if (missing.empty()) return {};
    return "the guest has CPUs " + online + " online, without the isolated " +
           format_cpulist(missing) +
           (append.empty() ? std::string{} : "; see --append '" + append + "'");
}

bool pending(const Snapshot& snapshot, unsigned cpu, const std::string& work)
{
    const VmmBinding* binding = binding_of(snapshot, cpu, work);
    return binding != nullptr &&
           binding->pending(row_of(snapshot, cpu, work).state);
}

std::vector<std::string> disagreements(Mode mode, const Snapshots& at,
                                       const CpuSet& isolated)
{
    std::vector<std::string> found;
    for (const auto& [snapshot, which] :
         {std::pair{&at.a, "before the workload"},
          {&at.b, "after the workload"},
          {&at.c, "after the loops"}})
        segment_agrees(*snapshot, which, found);
    for (const auto& [snapshot, which] :
         {std::pair{&at.a, "before the workload"},
          {&at.b, "after the workload"},
          {&at.c, "after the loops"}})
        if (!snapshot->consistent)
            found.push_back(std::string{"typed IPIs kept coming "} + which +
                            ": guest and VMM cannot be compared at one moment");
    if (in_the_guest(mode) != Mode::kHv) vmm_stays_out(at, found);
    if (!at.a.stats || !at.c.stats) return found;

    for (const unsigned cpu : isolated)
        for (const auto& work : at.c.stats->works) {
            Checks checks{mode, at, cpu, work, found};
            checks.guest();
            checks.nothing_owed();
            switch (mode) {
                case Mode::kOff:
                    break;
                case Mode::kGuest:
                    checks.loop_undisturbed();
                    checks.guest_mode();
                    break;
                case Mode::kHv:
                case Mode::kKvm:
                    checks.loop_undisturbed();
                    checks.hv_mode();
                    break;
            }
        }
    return found;
}

}  // namespace ipidefer::lab

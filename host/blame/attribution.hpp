// SPDX-License-Identifier: GPL-2.0-or-later
// Attribution: each time that a vCPU was out of its guest has one cause.
//
// A vCPU is away from a VM exit to the next entry. An exit that the guest asked
// for by what it executed is the guest's; for one that an interrupt forced, the
// first of what was seen on the thread until the next entry is its cause, and
// what else was seen then is counted as "also". So the counts of all causes add
// up to the exits, which are KVM's statistic too.
//
// Not handled: interrupts that hardware delivers to a running guest (posted
// interrupts, AVIC): there is no exit, and the guest alone sees them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/blame/cause.hpp"
#include "host/blame/event.hpp"
#include "host/blame/tally.hpp"

namespace ipidefer::blame {

/// A thread that runs a vCPU.
struct Thread {
    int pid = 0;
    unsigned vcpu = 0;
    std::uint32_t apic_id = 0;
};

/// One time away, for timelines.
struct Interruption {
    unsigned vcpu = 0;
    std::uint64_t from_ns = 0;
    std::uint64_t to_ns = 0;
    Cause cause;
    std::vector<Cause> also;
};

class Attribution final {
  public:
    explicit Attribution(const std::vector<Thread>& threads);

    /// @param event no older than those before
    /// @return what ended with this event
    std::optional<Interruption> feed(const Event& event);

    [[nodiscard]] const Tallies& tallies() const { return tallies_; }
    /// What ended since the last time; tallies() begin anew.
    [[nodiscard]] Tallies take() { return std::exchange(tallies_, {}); }
    /// vCPUs whose last exit has no entry yet, as of one that halts at the end.
    /// It is in no tally.
    [[nodiscard]] std::set<unsigned> open() const;
    /// Exits whose begin was not seen, as events began behind it.
    [[nodiscard]] std::uint64_t unseen() const { return unseen_; }

  private:
    /// Who sent an interrupt of the host.
    struct Sender {
        std::string comm;
        unsigned cpu = 0;  // that it was sent from
        int pid = 0;
        std::shared_ptr<const Stack> stack;  // if that was seen
    };
    struct Seen {
        Cause cause;
        std::shared_ptr<const Stack> stack;
    };
    /// What a local APIC has accepted and the guest has not seen yet.
    struct Pending {
        Cause cause;
        /// How often, but no more than 2: KVM says so just before it sets the
        /// vector's bit, so that the one before may be injected in between; of
        /// those that wait at a time KVM makes one.
        unsigned accepted = 0;
    };
    struct Vcpu {
        Thread thread;
        bool away = false;
        bool interrupt = false;  // forced the exit
        std::uint64_t since_ns = 0;
        std::string reason;
        bool timer = false;       // came, and what it runs is not seen yet
        bool reschedule = false;  // came, and what for is not known
        Sender reschedule_sender;
        std::vector<Seen> seen;
        /// By vector: from where the local APIC has it.
        std::map<unsigned, Pending> pending;
    };

    static void see(Vcpu& vcpu, Cause cause,
                    std::shared_ptr<const Stack> stack = nullptr);
    void sent(Sender& sender, const Event& event);
    void explain(const Event& event);
    void on_thread(Vcpu& vcpu, const Event& event);
    std::optional<Interruption> end(Vcpu& vcpu, const Event& event);
    void accept(const Event& event);
    /// @param part of a vCPU that the thread is about, if it is one's
    [[nodiscard]] std::string sender(const Event& event,
                                     const char* part) const;

    std::unordered_map<int, Vcpu> by_pid_;
    std::unordered_map<std::uint32_t, int> pid_of_apic_;
    /// By thread: what it is about to have accepted by local APICs.
    std::unordered_map<int, Cause> source_;
    /// By host CPU and function: who queued the call.
    std::map<std::pair<std::uint64_t, std::string>, Sender> callers_;
    /// By host CPU: who sent the last IPI without a function.
    std::unordered_map<std::uint64_t, Sender> rescheduler_;
    /// By host CPU: what was sent from there and has no stack yet, the last
    /// behind.
    std::unordered_map<unsigned, std::vector<Sender*>> unexplained_;
    Tallies tallies_;
    std::uint64_t unseen_ = 0;
};

}  // namespace ipidefer::blame

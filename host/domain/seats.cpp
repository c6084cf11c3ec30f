// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/seats.hpp"

#include <optional>

namespace ipidefer::domain {

std::string Seat::name() const
{
    switch (who) {
        case Who::kVcpu:
            return "vCPU " + std::to_string(number);
        case Who::kEmulator:
            return "emulator";
        case Who::kIothread:
            return "iothread " + std::to_string(number);
    }
    return "?";
}

Holders holders(const Domain& domain, const CpuSet& isolated)
{
    Holders count;
    for (const unsigned vcpu : isolated)
        if (const auto pin = domain.vcpu_pins.find(vcpu);
            pin != domain.vcpu_pins.end() && pin->second.size() == 1)
            ++count[*pin->second.begin()];
    return count;
}

Seat isolated_seat(const Domain& domain, const Holders& holders, unsigned vcpu)
{
    Seat seat{Seat::Who::kVcpu, vcpu, true, Fit::kRight, ""};
    const auto pin = domain.vcpu_pins.find(vcpu);
    if (pin == domain.vcpu_pins.end()) {
        seat.fit = Fit::kMissing;
    } else if (pin->second.size() != 1) {
        seat.fit = Fit::kWrong;
        seat.why =
            "is pinned to CPUs " + format_cpulist(pin->second) + ", not to one";
    } else if (const unsigned cpu = *pin->second.begin();
               holders.at(cpu) != 1) {
        seat.fit = Fit::kWrong;
        seat.why =
            "shares CPU " + std::to_string(cpu) + " with another isolated vCPU";
    }
    return seat;
}

CpuSet taken_cpus(const Domain& domain, const CpuSet& isolated)
{
    CpuSet taken;
    for (const auto& [cpu, count] : holders(domain, isolated))
        taken.insert(cpu);
    return taken;
}

std::vector<Seat> seats(const Domain& domain, const CpuSet& isolated)
{
    const Holders count = holders(domain, isolated);
    const CpuSet taken = taken_cpus(domain, isolated);
    std::vector<Seat> all;
    const auto elsewhere = [&](Seat seat, bool pinned,
                               const std::optional<CpuSet>& place) {
        if (!place) {
            seat.fit = Fit::kMissing;
        } else if (const CpuSet hit = both(*place, taken); !hit.empty()) {
            // What <vcpu cpuset=...> says is for those that nothing else is
            // said about.
            seat.fit = pinned ? Fit::kWrong : Fit::kMissing;
            seat.why = "may run on CPUs " + format_cpulist(hit) +
                       ", which isolated vCPUs have";
        }
        all.push_back(std::move(seat));
    };
    for (unsigned vcpu = 0; vcpu < domain.vcpus; ++vcpu)
        if (isolated.contains(vcpu))
            all.push_back(isolated_seat(domain, count, vcpu));
        else
            elsewhere({Seat::Who::kVcpu, vcpu, false, Fit::kRight, ""},
                      domain.vcpu_pins.contains(vcpu),
                      domain.place_of_vcpu(vcpu));
    elsewhere({Seat::Who::kEmulator, 0, false, Fit::kRight, ""},
              domain.emulator_pin.has_value(), domain.place_of_emulator());
    for (const unsigned id : domain.iothreads)
        elsewhere({Seat::Who::kIothread, id, false, Fit::kRight, ""},
                  domain.iothread_pins.contains(id),
                  domain.place_of_iothread(id));
    return all;
}

}  // namespace ipidefer::domain

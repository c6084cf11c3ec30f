// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/kvm_stats.hpp"

namespace ipidefer::lab {

KvmStats parse_kvm_stats(const nlohmann::json& cpus,
                         const nlohmann::json& stats)
{
    std::map<std::string, unsigned> numbers;
    for (const auto& cpu : cpus)
        numbers[cpu.at("qom-path")] = cpu.at("cpu-index");
    KvmStats found;
    for (const auto& of_one : stats) {
        const auto number =
            numbers.find(of_one.value("qom-path", std::string{}));
        if (number == numbers.end()) continue;
        // Histograms, as of waiting times, are arrays.
        for (const auto& stat : of_one.at("stats"))
            if (stat.at("value").is_number_unsigned())
                found[number->second][stat.at("name")] = stat.at("value");
    }
    return found;
}

KvmStats since(const KvmStats& before, const KvmStats& after)
{
    KvmStats difference;
    for (const auto& [cpu, stats] : after) {
        const auto base = before.find(cpu);
        if (base == before.end()) continue;
        for (const auto& [name, count] : stats) {
            const auto then = base->second.find(name);
            // What goes down is a state, and no count.
            if (then != base->second.end() && count >= then->second)
                difference[cpu][name] = count - then->second;
        }
    }
    return difference;
}

HostInterrupts host_interrupts(const Interrupts& of_host,
                               const CpuSet& isolated,
                               const std::vector<unsigned>& pins)
{
    // smp_send_reschedule(), as in kvm_vcpu_kick().
    constexpr std::string_view kKick = "RES";
    HostInterrupts found;
    auto vcpu = isolated.begin();
    for (const unsigned pin : pins) {
        std::uint64_t& sum = found[*vcpu++];
        for (const auto& [name, row] : of_host.rows)
            if (const auto taken = row.taken.find(pin);
                name != kKick && taken != row.taken.end())
                sum += taken->second;
    }
    return found;
}

bool counts_exits(std::string_view name)
{
    return name == "exits" || name.ends_with("_exits");
}

}  // namespace ipidefer::lab

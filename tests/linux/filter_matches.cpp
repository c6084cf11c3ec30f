// SPDX-License-Identifier: GPL-2.0-or-later
// filter_matches VCPUS FILTER: which events does a trace filter of ours let
// pass?
//
// Standard input: an event a line, by the kernel's names: "ipi_send_cpumask CPU
// MASK" (hexadecimal) or "ipi_send_cpu CPU TARGET". Standard output: 1 or 0 for
// each. Status: 0; 1 for input that is none; 2 for a filter that is refused.
#include <ipidefer/ipidefer.h>

#include <iostream>
#include <string>

#include "host/trace/filter.hpp"

namespace {

using namespace ipidefer;

/// The kernel's events as ours: with a mask a send, with a target a verdict.
trace::Event event_of(const std::string& name, std::uint32_t cpu,
                      std::uint64_t value)
{
    trace::Event event;
    event.entry.sender = cpu;
    if (name == "ipi_send_cpumask") {
        event.entry.kind = IPIDEFER_TRACE_SEND;
        event.mask = {value};
    } else {
        event.entry.kind = IPIDEFER_TRACE_VERDICT;
        event.entry.cpu = static_cast<std::uint32_t>(value);
    }
    return event;
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 3) {
        std::cerr << "usage: filter_matches VCPUS FILTER\n";
        return 1;
    }
    const auto vcpus = static_cast<std::uint32_t>(std::stoul(argv[1]));
    try {
        const trace::Filter filter{argv[2], vcpus};
        std::string name;
        std::uint32_t cpu = 0;
        std::uint64_t value = 0;
        while (std::cin >> name >> std::dec >> cpu >> std::hex >> value)
            std::cout << filter.matches(event_of(name, cpu, value)) << '\n';
        if (!std::cin.eof()) {
            std::cerr << "that is no event\n";
            return 1;
        }
    } catch (const trace::FilterError& error) {
        std::cerr << error.show(argv[2]) << '\n';
        return 2;
    }
}

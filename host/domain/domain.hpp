// SPDX-License-Identifier: GPL-2.0-or-later
// Domain: what a libvirt domain XML says about the things that deferral depends
// on. Everything else is left alone, and need not be understood.
#pragma once

#include <map>
#include <optional>
#include <pugixml.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpulist.hpp"
#include "host/domain/defer_object.hpp"

namespace ipidefer::domain {

inline constexpr std::string_view kQemuNamespace =
    "http://libvirt.org/schemas/domain/qemu/1.0";

struct Domain {
    std::string name;
    std::string uuid;                // may be missing
    std::string type;                // kvm, qemu, ...
    std::string arch;                // x86_64, ...; empty: the host's
    std::string os_type;             // hvm, ...; may be missing
    std::string launch_security;     // sev, ...; empty: none
    bool hypervisor_hidden = false;  // CPU feature hypervisor is disabled
    unsigned vcpus = 0;
    std::optional<CpuSet> cpuset;  // of <vcpu>: for what is not pinned
    std::string emulator;

    std::map<unsigned, CpuSet> vcpu_pins;
    std::optional<CpuSet> emulator_pin;
    /// IDs: those that <iothreadids> gives and, up to the number that
    /// <iothreads> says, the lowest free ones from 1.
    std::set<unsigned> iothreads;
    std::map<unsigned, CpuSet> iothread_pins;

    bool direct_kernel = false;
    std::string command_line;
    bool hint_dedicated = false;
    std::string ioapic;  // driver: kvm, qemu, or empty

    std::vector<std::string> arguments;  // of QEMU's own command line
    struct Object {
        std::size_t argument;  // index of its value in `arguments`
        DeferObject object;
    };
    std::vector<Object> objects;  // ipi-defer; one is right

    /// Where a vCPU, an iothread or the emulator may run; nothing: anywhere.
    [[nodiscard]] std::optional<CpuSet> place_of_vcpu(unsigned vcpu) const;
    [[nodiscard]] std::optional<CpuSet> place_of_emulator() const;
    [[nodiscard]] std::optional<CpuSet> place_of_iothread(unsigned id) const;

    /// The name of the VM's segment, should it have one: the object's or, as
    /// QEMU does it, the domain's.
    [[nodiscard]] std::string segment_name() const;
};

/// Throws Failure for what is no domain, or cannot be one.
[[nodiscard]] Domain read_domain(pugi::xml_node root);
[[nodiscard]] Domain read_domain(const std::string& xml);

/// The first commandline element of QEMU's namespace; none when there is none.
[[nodiscard]] pugi::xml_node qemu_commandline(pugi::xml_node root);
/// The arg elements of all of them, as libvirt passes them on.
[[nodiscard]] std::vector<pugi::xml_node> qemu_arguments(pugi::xml_node root);

}  // namespace ipidefer::domain

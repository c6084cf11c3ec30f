// SPDX-License-Identifier: GPL-2.0-or-later
// Files that others wrote: CPU lists in each grammar, an ipi-defer object, and
// domain XML, as a whole or with the input somewhere inside. Each is read or
// refused with a Failure; what is read is written and read again the same.
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/failure.hpp"
#include "host/domain/plan.hpp"

namespace {

using namespace ipidefer;
using namespace ipidefer::domain;

void require(bool condition)
{
    if (!condition) std::abort();
}

template <class Parse>
void list(const Parse& parse, std::string_view text, unsigned limit)
{
    const CpuSet cpus = parse(text);
    require(cpus.empty() || *cpus.rbegin() < limit);
    if (!cpus.empty()) require(parse(format_cpulist(cpus)) == cpus);
}

void object(std::string_view text)
{
    const auto parsed = DeferObject::parse(text);
    if (!parsed) return;
    (void)parsed->isolated();
    DeferObject changed = *parsed;
    changed.set_isolated({2, 3});
    const auto again = DeferObject::parse(changed.argument());
    require(again && again->isolated() == CpuSet{2, 3});
}

/// A plan grows with the vCPUs. Larger domains are only read: their plans,
/// which unit tests make, would take the time of all other inputs.
constexpr unsigned kMostPlanned = 1024;

void plan(const std::string& xml)
{
    if (read_domain(xml).vcpus > kMostPlanned) return;
    PlanOptions options;
    options.isolated = CpuSet{2};
    options.host_isolated = CpuSet{4, 5, 6, 7};
    options.host_housekeeping = CpuSet{0, 1, 2, 3};
    const Plan made = make_plan(xml, options, {}, std::nullopt);
    (void)read_domain(made.xml);
    if (made.has(Change::Kind::kConflict)) return;
    require(make_plan(made.xml, options, {}, std::nullopt).xml == made.xml);
}

void inside_a_domain(unsigned where, const std::string& text)
{
    std::string parts[6] = {"type='kvm'", "<name>a</name>", "4",
                            "1",          "console=ttyS0",  "-s"};
    parts[where % 6] = text;
    plan("<domain " + parts[0] + " xmlns:q='" + std::string{kQemuNamespace} +
         "'>" + parts[1] + "<vcpu>" + parts[2] +
         "</vcpu><cputune><vcpupin vcpu='1' cpuset='" + parts[3] +
         "'/></cputune><os><type>hvm</type><kernel>/k</kernel><cmdline>" +
         parts[4] + "</cmdline></os><q:commandline><q:arg value='" + parts[5] +
         "'/></q:commandline></domain>");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    if (size < 2) return 0;
    const std::string text{reinterpret_cast<const char*>(data) + 2, size - 2};
    constexpr unsigned kCount = 12;
    try {
        switch (data[0] % 6) {
            case 0:
                list([](auto t) { return parse_cpulist(t, kCount); }, text,
                     kCount);
                break;
            case 1:
                list([](auto t) { return parse_kernel_cpulist(t, kCount); },
                     text, kCount);
                break;
            case 2:
                list(parse_libvirt_cpuset, text, kMostLibvirtCpus);
                break;
            case 3:
                object(text);
                break;
            case 4:
                plan(text);
                break;
            default:
                inside_a_domain(data[1], text);
        }
    } catch (const Failure&) {
    }
    return 0;
}

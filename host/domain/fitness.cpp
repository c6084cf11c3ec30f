// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/fitness.hpp"

#include <ipidefer/segment.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.hpp"

namespace ipidefer::domain {
namespace {

struct Named {
    std::string_view name;  // in the XML
    std::string_view what;
};

constexpr std::array<Named, 14> kOtherTypes{{
    {"lxc", "containers that share the host's kernel; there is no guest"},
    {"openvz", "containers that share the host's kernel; there is no guest"},
    {"uml", "User Mode Linux, which has no APIC"},
    {"xen", "Xen, whose own hypervisor sees the IPIs"},
    {"bhyve", "FreeBSD's bhyve, not QEMU"},
    {"vmware", "VMware, not QEMU"},
    {"hyperv", "Microsoft Hyper-V, not QEMU"},
    {"vbox", "VirtualBox, not QEMU"},
    {"vz", "Virtuozzo, not QEMU"},
    {"parallels", "Parallels, not QEMU"},
    {"phyp", "IBM PowerVM, not x86"},
    {"test", "libvirt's test driver, which runs nothing"},
    {"hvf",
     "QEMU with macOS's Hypervisor.framework, where ipi-defer does not work"},
    {"kqemu", "an accelerator that QEMU has no more"},
}};

constexpr std::array<Named, 4> kSealed{{
    {"sev", "AMD SEV"},
    {"sev-snp", "AMD SEV-SNP"},
    {"tdx", "Intel TDX"},
    {"s390-pv", "IBM Secure Execution"},
}};

template <std::size_t kCount>
std::string_view what_is(const std::array<Named, kCount>& kinds,
                         std::string_view name)
{
    const auto at = std::ranges::find(kinds, name, &Named::name);
    return at == kinds.end() ? std::string_view{} : at->what;
}

std::string quoted(const std::string& text)
{
    return '\'' + printable(text) + '\'';
}

std::string type_fault(const Domain& domain)
{
    if (domain.type == "kvm" || domain.type == "qemu") return "";
    const auto what = what_is(kOtherTypes, domain.type);
    return "type " + quoted(domain.type) + " is " +
           (what.empty() ? std::string{"neither kvm nor qemu"}
                         : std::string{what}) +
           "; deferral needs QEMU with KVM or TCG";
}

/// @return whether a -cpu argument switches the feature off
bool cpu_argument_hides_hypervisor(const std::vector<std::string>& arguments)
{
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
        if (arguments[i] != "-cpu" && arguments[i] != "--cpu") continue;
        const std::string model = ',' + arguments[i + 1] + ',';
        for (const char* off : {",-hypervisor,", ",hypervisor=off,"})
            if (model.find(off) != std::string::npos) return true;
    }
    return false;
}

}  // namespace

std::vector<std::string> unfitness(const Domain& domain)
{
    std::vector<std::string> why;
    if (auto fault = type_fault(domain); !fault.empty())
        why.push_back(std::move(fault));
    if (!domain.arch.empty() && domain.arch != "x86_64")
        why.push_back("arch " + quoted(domain.arch) +
                      ": the guest's kernel must be one for x86_64");
    if (!domain.os_type.empty() && domain.os_type != "hvm")
        why.push_back("os type " + quoted(domain.os_type) +
                      " is not hvm: deferral needs a full virtual machine");
    if (!domain.launch_security.empty()) {
        const auto what = what_is(kSealed, domain.launch_security);
        why.push_back(
            "launchSecurity " + quoted(domain.launch_security) +
            (what.empty() ? std::string{} : " (" + std::string{what} + ')') +
            ": QEMU cannot write the guest's memory, where work is "
            "recorded");
    }
    if (domain.hypervisor_hidden ||
        cpu_argument_hides_hypervisor(domain.arguments))
        why.emplace_back(
            "CPU feature hypervisor is disabled: the guest then does not look "
            "for what a hypervisor offers");
    // Without a segment, the name is nobody's.
    const bool segment =
        domain.objects.size() != 1 ||
        domain.objects[0].object.get("segment").value_or("on") != "off";
    constexpr std::size_t kMostName = IPIDEFER_SEGMENT_NAME - 1;
    if (const std::string name = domain.segment_name();
        segment && name.size() > kMostName)
        why.push_back("the name has " + std::to_string(name.size()) +
                      " bytes, and a segment's has at most " +
                      std::to_string(kMostName) +
                      ": give the object a shorter segment-name, or "
                      "segment=off");
    return why;
}

}  // namespace ipidefer::domain

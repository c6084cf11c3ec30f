// SPDX-License-Identifier: GPL-2.0-or-later
#include "domain.hpp"

#include "failure.hpp"
#include "text.hpp"
#include "xml_text.hpp"

namespace ipidefer::domain {
namespace {

constexpr std::string_view kXmlns = "xmlns:";

[[noreturn]] void refuse_domain(const std::string& why)
{
    throw Failure{Exit::kCannotRun, "domain XML: " + why};
}

std::string text_of(pugi::xml_node node)
{
    return std::string{trimmed(node.text().get())};
}

unsigned number_in(pugi::xml_node node, const char* what, std::string_view text,
                   unsigned limit)
{
    const auto number = number_of<unsigned>(trimmed(text));
    if (!number || *number >= limit)
        refuse_domain(std::string{"<"} + node.name() + ">: " + what + " '" +
                      printable(text) + "' is not a number below " +
                      std::to_string(limit));
    return *number;
}

CpuSet cpus_in(pugi::xml_node node)
{
    const char* list = node.attribute("cpuset").value();
    try {
        return parse_cpulist(list, kMostCpus);
    } catch (const Failure& failure) {
        refuse_domain(std::string{"<"} + node.name() + " cpuset='" +
                      printable(list) + "'>: " + failure.what());
    }
}

/// Declared on this element.
std::string prefix_here(pugi::xml_node node)
{
    for (const pugi::xml_attribute a : node.attributes())
        if (std::string_view{a.name()}.starts_with(kXmlns) &&
            a.value() == kQemuNamespace)
            return a.name() + kXmlns.size();
    return {};
}

void read_tuning(Domain& domain, pugi::xml_node cputune)
{
    for (const pugi::xml_node pin : cputune.children("vcpupin"))
        domain.vcpu_pins[number_in(pin, "vcpu", pin.attribute("vcpu").value(),
                                   kMostVcpus)] = cpus_in(pin);
    for (const pugi::xml_node pin : cputune.children("iothreadpin"))
        domain.iothread_pins[number_in(
            pin, "iothread", pin.attribute("iothread").value(), kMostVcpus)] =
            cpus_in(pin);
    if (const auto pin = cputune.child("emulatorpin"))
        domain.emulator_pin = cpus_in(pin);
}

void read_arguments(Domain& domain, pugi::xml_node commandline)
{
    if (!commandline) return;
    const std::string_view name{commandline.name()};
    const std::string arg_name{std::string{name.substr(0, name.find(':') + 1)} +
                               "arg"};
    for (const pugi::xml_node arg : commandline.children(arg_name.c_str()))
        domain.arguments.emplace_back(arg.attribute("value").value());
    const auto& all = domain.arguments;
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
        if (all[i] != "-object" && all[i] != "--object") continue;
        ++i;
        if (auto object = DeferObject::parse(all[i]))
            domain.objects.push_back({i, std::move(*object)});
    }
}

std::optional<CpuSet> found_or(const std::map<unsigned, CpuSet>& pins,
                               unsigned number,
                               const std::optional<CpuSet>& otherwise)
{
    const auto at = pins.find(number);
    return at == pins.end() ? otherwise : at->second;
}

}  // namespace

std::optional<CpuSet> Domain::place_of_vcpu(unsigned vcpu) const
{
    return found_or(vcpu_pins, vcpu, cpuset);
}

std::optional<CpuSet> Domain::place_of_emulator() const
{
    return emulator_pin ? emulator_pin : cpuset;
}

std::optional<CpuSet> Domain::place_of_iothread(unsigned id) const
{
    return found_or(iothread_pins, id, cpuset);
}

std::string Domain::segment_name() const
{
    if (!objects.empty()) {
        const auto& object = objects.front().object;
        if (const auto own = object.get("segment-name")) return *own;
    }
    return name;
}

pugi::xml_node qemu_commandline(pugi::xml_node root)
{
    const std::string outer = prefix_here(root);
    for (const pugi::xml_node child : root.children()) {
        const std::string_view element{child.name()};
        const std::string inner = prefix_here(child);
        for (const std::string& prefix : {inner, outer})
            if (!prefix.empty() && element == prefix + ":commandline")
                return child;
    }
    return {};
}

Domain read_domain(pugi::xml_node root)
{
    if (std::string_view{root.name()} != "domain")
        refuse_domain("the outermost element is <" + printable(root.name()) +
                      ">, not <domain>");
    Domain domain;
    domain.type = root.attribute("type").value();
    domain.name = text_of(root.child("name"));
    domain.uuid = text_of(root.child("uuid"));
    if (domain.name.empty()) refuse_domain("<name> is missing");

    const pugi::xml_node vcpu = root.child("vcpu");
    if (!vcpu) refuse_domain("<vcpu> is missing");
    domain.vcpus = number_in(vcpu, "the number", vcpu.text().get(), kMostVcpus);
    if (domain.vcpus == 0) refuse_domain("<vcpu>: no vCPU");
    if (vcpu.attribute("cpuset")) domain.cpuset = cpus_in(vcpu);
    if (const auto iothreads = root.child("iothreads"))
        domain.iothreads = number_in(iothreads, "the number",
                                     iothreads.text().get(), kMostVcpus);
    domain.emulator = text_of(root.child("devices").child("emulator"));
    read_tuning(domain, root.child("cputune"));

    const pugi::xml_node os = root.child("os");
    domain.direct_kernel = !text_of(os.child("kernel")).empty();
    domain.command_line = os.child("cmdline").text().get();
    const pugi::xml_node features = root.child("features");
    domain.hint_dedicated = std::string_view{features.child("kvm")
                                                 .child("hint-dedicated")
                                                 .attribute("state")
                                                 .value()} == "on";
    domain.ioapic = features.child("ioapic").attribute("driver").value();

    domain.qemu_prefix = prefix_here(root);
    read_arguments(domain, qemu_commandline(root));
    return domain;
}

Domain read_domain(const std::string& xml)
{
    const XmlText text{xml};
    return read_domain(text.root());
}

}  // namespace ipidefer::domain

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/domain.hpp"

#include <algorithm>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "host/domain/xml_names.hpp"
#include "host/domain/xml_text.hpp"

namespace ipidefer::domain {
namespace {

/// IDs and numbers in a file are below this, so that none is a load.
constexpr unsigned kMostIothreads = 65536;
/// Each may need a pin, and the document is read anew with each: tens of
/// thousands would take hours, and no host has a use for that many.
constexpr std::size_t kMaxIothreads = 512;

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
        return parse_libvirt_cpuset(list);
    } catch (const Failure& failure) {
        refuse_domain(std::string{"<"} + node.name() + " cpuset='" +
                      printable(list) + "'>: " + failure.what());
    }
}

void read_iothreads(Domain& domain, pugi::xml_node root)
{
    for (const pugi::xml_node one :
         root.child("iothreadids").children("iothread")) {
        const unsigned id = number_in(
            one, "the id", one.attribute("id").value(), kMostIothreads);
        if (id == 0) refuse_domain("<iothread id='0'>: IDs begin with 1");
        if (!domain.iothreads.insert(id).second)
            refuse_domain("<iothread id='" + std::to_string(id) +
                          "'> is there twice");
    }
    const pugi::xml_node all = root.child("iothreads");
    const std::size_t number =
        all ? number_in(all, "the number", all.text().get(), kMostIothreads)
            : 0;
    if (const auto count = std::max(number, domain.iothreads.size());
        count > kMaxIothreads)
        refuse_domain("it has " + std::to_string(count) +
                      " iothreads, the most is " +
                      std::to_string(kMaxIothreads));
    for (unsigned id = 1; domain.iothreads.size() < number; ++id)
        domain.iothreads.insert(id);
}

/// A pin of its own for each number: libvirt refuses a second one.
void add_pin(std::map<unsigned, CpuSet>& pins, pugi::xml_node pin,
             const char* key, unsigned limit)
{
    const unsigned number =
        number_in(pin, key, pin.attribute(key).value(), limit);
    if (!pins.emplace(number, cpus_in(pin)).second)
        refuse_domain(std::string{"<"} + pin.name() + ' ' + key + "='" +
                      std::to_string(number) + "'> is there twice");
}

void read_tuning(Domain& domain, pugi::xml_node cputune)
{
    for (const pugi::xml_node pin : cputune.children("vcpupin"))
        add_pin(domain.vcpu_pins, pin, "vcpu", kMostVcpus);
    for (const pugi::xml_node pin : cputune.children("iothreadpin"))
        add_pin(domain.iothread_pins, pin, "iothread", kMostIothreads);
    for (const auto& [id, cpus] : domain.iothread_pins)
        if (!domain.iothreads.contains(id))
            refuse_domain("<iothreadpin iothread='" + std::to_string(id) +
                          "'>: the domain has no such iothread, which libvirt "
                          "refuses");
    if (const auto pin = cputune.child("emulatorpin"))
        domain.emulator_pin = cpus_in(pin);
}

void read_arguments(Domain& domain, pugi::xml_node root)
{
    for (const pugi::xml_node arg : qemu_arguments(root))
        domain.arguments.emplace_back(arg.attribute("value").value());
    const auto& all = domain.arguments;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i] != "-object" && all[i] != "--object") continue;
        // What we put behind it would become its value.
        if (++i == all.size())
            refuse_domain("its last argument of QEMU is '" + all.back() +
                          "' without a value, which QEMU refuses");
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
    const auto all = children_named(root, kQemuNamespace, "commandline");
    return all.empty() ? pugi::xml_node{} : all.front();
}

std::vector<pugi::xml_node> qemu_arguments(pugi::xml_node root)
{
    std::vector<pugi::xml_node> all;
    for (const auto line : children_named(root, kQemuNamespace, "commandline"))
        for (const auto arg : children_named(line, kQemuNamespace, "arg"))
            all.push_back(arg);
    return all;
}

Domain read_domain(pugi::xml_node root)
{
    if (std::string_view{root.name()} != "domain")
        refuse_domain("the outermost element is <" + printable(root.name()) +
                      ">, not <domain>");
    // libvirt looks for a domain's elements without a namespace.
    if (const auto uri = uri_of_prefix(root, ""); !uri.empty())
        refuse_domain("its elements are in the namespace '" + printable(uri) +
                      "', and libvirt's are in none");
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
    read_iothreads(domain, root);
    domain.emulator = text_of(root.child("devices").child("emulator"));
    read_tuning(domain, root.child("cputune"));

    const pugi::xml_node os = root.child("os");
    domain.direct_kernel = !text_of(os.child("kernel")).empty();
    domain.command_line = os.child("cmdline").text().get();
    domain.arch = os.child("type").attribute("arch").value();
    domain.os_type = text_of(os.child("type"));
    domain.launch_security =
        root.child("launchSecurity").attribute("type").value();
    for (const pugi::xml_node feature : root.child("cpu").children("feature"))
        if (std::string_view{feature.attribute("name").value()} ==
            "hypervisor") {
            const std::string_view policy = feature.attribute("policy").value();
            domain.hypervisor_hidden =
                policy == "disable" || policy == "forbid";
        }
    const pugi::xml_node features = root.child("features");
    domain.hint_dedicated = std::string_view{features.child("kvm")
                                                 .child("hint-dedicated")
                                                 .attribute("state")
                                                 .value()} == "on";
    domain.ioapic = features.child("ioapic").attribute("driver").value();

    read_arguments(domain, root);
    return domain;
}

Domain read_domain(const std::string& xml)
{
    const XmlText text{xml};
    return read_domain(text.root());
}

}  // namespace ipidefer::domain

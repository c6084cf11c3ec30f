// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/plan.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "host/domain/fitness.hpp"
#include "host/domain/kernel_line.hpp"
#include "host/domain/seats.hpp"
#include "host/domain/xml_names.hpp"
#include "host/domain/xml_text.hpp"

namespace ipidefer::domain {
namespace {

using Kind = Change::Kind;
using check::HostCpus;

[[noreturn]] void refuse(const std::string& why)
{
    throw Failure{Exit::kCannotRun, why};
}

class Planner {
  public:
    Planner(const std::string& xml, const PlanOptions& options,
            const HostCpus& host, const std::optional<Emulator>& emulator)
        : xml_{xml}, options_{options}, host_{host}, emulator_{emulator}
    {
        look();
    }

    Plan run()
    {
        for (const std::string& why : unfitness(domain_))
            refuse("domain '" + printable(domain_.name) +
                   "' cannot defer: " + why);
        choose_isolated();
        emulator();
        object();
        pins();
        hint();
        kernel();
        return {std::move(changes_), xml_.text()};
    }

  private:
    // ---- what there is, and what is said about it ---------------------------

    void look() { domain_ = read_domain(xml_.root()); }

    void note(Kind kind, const std::string& name, const std::string& what)
    {
        changes_.push_back({name, kind, what});
    }
    void changed(const std::string& name, const std::string& what)
    {
        note(Kind::kChange, name, what);
        look();
    }
    /// Somebody has set it otherwise. @return whether it may be replaced
    bool conflict(const std::string& name, const std::string& what)
    {
        if (options_.replace) return true;
        note(Kind::kConflict, name, what);
        return false;
    }

    void choose_isolated()
    {
        if (options_.isolated)
            isolated_ = *options_.isolated;
        else if (domain_.objects.size() == 1)
            isolated_ = domain_.objects[0].object.isolated();
        if (isolated_.empty())
            refuse(
                "which vCPUs are isolated? Give --isolated, as in "
                "--isolated 2-3");
        if (*isolated_.rbegin() >= domain_.vcpus)
            refuse("--isolated " + format_cpulist(isolated_) +
                   ": the domain has vCPUs 0 to " +
                   std::to_string(domain_.vcpus - 1));
        if (isolated_.contains(0))
            refuse("--isolated " + format_cpulist(isolated_) +
                   ": vCPU 0 boots the guest and keeps its time");
    }

    // ---- emulator and object ------------------------------------------------

    void emulator()
    {
        const std::string& wanted = options_.emulator;
        if (!wanted.empty() && wanted != domain_.emulator) {
            const auto element = xml_.root().child("devices").child("emulator");
            const std::string was = domain_.emulator;
            if (element)
                xml_.set_text(element, wanted);
            else
                xml_.append(child_of_root("devices", "name"),
                            {"emulator", {}, {}, wanted});
            changed("emulator", was.empty() ? wanted : was + " -> " + wanted);
        }
        if (emulator_ && !emulator_->knows_object)
            note(Kind::kConflict, "emulator",
                 (domain_.emulator.empty() ? "the default emulator"
                                           : domain_.emulator) +
                     " has no ipi-defer object" +
                     (emulator_->complaint.empty()
                          ? ""
                          : " (" + emulator_->complaint + ")") +
                     "; give one that does, with --emulator");
    }

    [[nodiscard]] bool can_have_segment() const
    {
        // Where it could not be asked, it is taken for a new one.
        return options_.segment &&
               (!emulator_ || emulator_->properties.contains("segment"));
    }

    void object()
    {
        if (domain_.objects.size() > 1) {
            note(Kind::kConflict, "object",
                 "there are " + std::to_string(domain_.objects.size()) +
                     " ipi-defer objects, QEMU takes one");
            return;
        }
        if (domain_.objects.empty()) return new_object();
        DeferObject object = domain_.objects[0].object;
        const CpuSet was = object.isolated();
        if (was != isolated_ &&
            (was.empty() ||
             conflict("object", "its isolated-cpus are " + format_cpulist(was) +
                                    ", not " + format_cpulist(isolated_)))) {
            object.set_isolated(isolated_);
            put_object(object);
            changed("object", "isolated-cpus=" + format_cpulist(isolated_));
        }
        if (can_have_segment() && !object.get("segment")) {
            object = domain_.objects[0].object;
            object.set("segment", "on");
            put_object(object);
            changed("segment", "segment=on");
        }
    }

    void new_object()
    {
        DeferObject object = DeferObject::create("defer0");
        object.set_isolated(isolated_);
        if (can_have_segment()) object.set("segment", "on");
        const std::vector<std::string> values{"-object", object.argument()};
        if (const auto commandline = qemu_commandline(xml_.root())) {
            const std::string arg =
                qualified(prefix_of(commandline.name()), "arg");
            std::vector<Element> elements;
            for (const std::string& value : values)
                elements.push_back({arg, {{"value", value}}, {}, ""});
            xml_.append(commandline, elements);
        } else {
            append_commandline(values);
        }
        changed("object", object.argument());
    }

    static std::string qualified(std::string_view prefix,
                                 const std::string& name)
    {
        return prefix.empty() ? name : std::string{prefix} + ':' + name;
    }

    void append_commandline(const std::vector<std::string>& values)
    {
        std::string prefix;
        for (const pugi::xml_attribute a : xml_.root().attributes())
            if (prefix_of(a.name()) == "xmlns" && a.value() == kQemuNamespace)
                prefix = local_name(a.name());
        Element commandline;
        if (prefix.empty()) {
            prefix = "qemu";
            // Where the prefix is another's, the declaration is the new
            // element's own.
            if (uri_of_prefix(xml_.root(), prefix).empty())
                xml_.set_attribute(xml_.root(), "xmlns:qemu", kQemuNamespace);
            else
                commandline.attributes.emplace_back("xmlns:qemu",
                                                    kQemuNamespace);
        }
        commandline.name = qualified(prefix, "commandline");
        for (const std::string& value : values)
            commandline.children.push_back(
                {qualified(prefix, "arg"), {{"value", value}}, {}, ""});
        xml_.append(xml_.root(), commandline);
    }

    void put_object(const DeferObject& object)
    {
        xml_.set_attribute(
            qemu_arguments(xml_.root()).at(domain_.objects[0].argument),
            "value", object.argument());
    }

    // ---- host CPUs ----------------------------------------------------------

    /// For isolated vCPUs that have none yet, or not one of their own: not what
    /// somebody has given to others.
    [[nodiscard]] CpuSet used_cpus() const
    {
        CpuSet used = taken_cpus(domain_, isolated_);
        if (options_.replace) return used;
        for (const Seat& seat : seats(domain_, isolated_)) {
            if (seat.isolated) continue;
            const auto place = pinned_place(seat);
            if (place) used.insert(place->begin(), place->end());
        }
        return used;
    }

    [[nodiscard]] unsigned free_isolated_cpu(const CpuSet& pool,
                                             const CpuSet& used) const
    {
        if (pool.empty())
            refuse(
                "this host isolates no CPU: boot it with isolcpus=, or say "
                "with --host-isolated which CPUs isolated vCPUs may have");
        const auto is_free = [&](unsigned cpu) { return !used.contains(cpu); };
        // A core of its own, if there is one.
        const auto core = std::ranges::find_if(pool, [&](unsigned cpu) {
            return is_free(cpu) &&
                   std::ranges::all_of(host_.siblings_of({cpu}), is_free);
        });
        if (core != pool.end()) return *core;
        const auto any = std::ranges::find_if(pool, is_free);
        if (any == pool.end())
            refuse("isolated vCPUs " + format_cpulist(isolated_) +
                   " need a host CPU each, and none is left for one; say with "
                   "--host-isolated which they may have");
        return *any;
    }

    [[nodiscard]] std::optional<CpuSet> pinned_place(const Seat& seat) const
    {
        switch (seat.who) {
            case Seat::Who::kVcpu:
                if (const auto pin = domain_.vcpu_pins.find(seat.number);
                    pin != domain_.vcpu_pins.end())
                    return pin->second;
                return std::nullopt;
            case Seat::Who::kEmulator:
                return domain_.emulator_pin;
            case Seat::Who::kIothread:
                if (const auto pin = domain_.iothread_pins.find(seat.number);
                    pin != domain_.iothread_pins.end())
                    return pin->second;
                return std::nullopt;
        }
        return std::nullopt;
    }

    CpuSet housekeeping_cpus()
    {
        CpuSet pool = without(
            options_.host_housekeeping.value_or(without(
                host_.online, options_.host_isolated.value_or(host_.isolated))),
            taken_cpus(domain_, isolated_));
        if (pool.empty())
            refuse(
                "no host CPU is left for what is not isolated; say which "
                "with --host-housekeeping");
        return pool;
    }

    void pins()
    {
        // Isolated ones first: where others may be depends on them. Of two that
        // share a CPU, one may stay.
        const CpuSet pool = options_.host_isolated.value_or(host_.isolated);
        CpuSet used = used_cpus();
        Holders count = holders(domain_, isolated_);
        for (const unsigned vcpu : isolated_) {
            const Seat seat = isolated_seat(domain_, count, vcpu);
            if (seat.fit == Fit::kRight && !outside_choice(seat)) continue;
            if (seat.fit != Fit::kMissing &&
                !conflict("vcpupin",
                          seat.name() + ' ' +
                              (seat.fit == Fit::kWrong
                                   ? seat.why
                                   : "is not on a CPU of --host-isolated")))
                continue;
            const unsigned cpu = free_isolated_cpu(pool, used);
            used.insert(cpu);
            if (seat.fit != Fit::kMissing)
                if (const CpuSet& was = domain_.vcpu_pins.at(vcpu);
                    was.size() == 1)
                    --count.at(*was.begin());
            ++count[cpu];
            domain_.vcpu_pins[vcpu] = {cpu};
            pin(seat, {cpu});
        }
        // Where one of these is does not depend on the others.
        std::optional<CpuSet> housekeeping;
        for (const Seat& seat : seats(domain_, isolated_)) {
            if (seat.isolated || seat.fit == Fit::kRight) continue;
            if (seat.fit == Fit::kWrong &&
                !conflict(element_of(seat).name, seat.name() + ' ' + seat.why))
                continue;
            if (!housekeeping) housekeeping = housekeeping_cpus();
            pin(seat, *housekeeping);
        }
        for (const char* element : {"vcpupin", "emulatorpin", "iothreadpin"})
            write_pins(element);
        look();
    }

    [[nodiscard]] bool outside_choice(const Seat& seat) const
    {
        return options_.host_isolated &&
               !std::ranges::includes(*options_.host_isolated,
                                      domain_.vcpu_pins.at(seat.number));
    }

    struct PinElement {
        const char* name;
        const char* key;  // attribute that says whose it is; none: only one
    };
    [[nodiscard]] static PinElement element_of(const Seat& seat)
    {
        switch (seat.who) {
            case Seat::Who::kVcpu:
                return {"vcpupin", "vcpu"};
            case Seat::Who::kEmulator:
                return {"emulatorpin", ""};
            case Seat::Who::kIothread:
                return {"iothreadpin", "iothread"};
        }
        return {"", ""};
    }

    /// What to write, once all are known.
    void pin(const Seat& seat, const CpuSet& cpus)
    {
        const std::string element = element_of(seat).name;
        const std::string list = format_cpulist(cpus);
        pins_[element].emplace_back(seat, list);
        note(Kind::kChange, element, seat.name() + ": CPUs " + list);
    }

    /// All of one kind at once, as domains have thousands of vCPUs.
    void write_pins(const char* element)
    {
        const auto& wanted = pins_[element];
        if (wanted.empty()) return;
        std::map<unsigned, pugi::xml_node> there;
        for (const pugi::xml_node pin :
             child_of_root("cputune", "vcpu").children(element)) {
            const char* key = element_of(wanted[0].first).key;
            there[*key == '\0' ? 0 : pin.attribute(key).as_uint()] = pin;
        }
        std::vector<XmlText::AttributeValue> changed;
        std::vector<Element> added;
        for (const auto& [seat, list] : wanted) {
            if (const auto own = there.find(seat.number); own != there.end()) {
                changed.push_back({own->second, "cpuset", list});
                continue;
            }
            Element pin{element, {}, {}, ""};
            if (const char* key = element_of(seat).key; *key != '\0')
                pin.attributes.emplace_back(key, std::to_string(seat.number));
            pin.attributes.emplace_back("cpuset", list);
            added.push_back(std::move(pin));
        }
        if (!changed.empty()) xml_.set_attributes(changed);
        if (added.empty()) return;
        const pugi::xml_node cputune = xml_.root().child("cputune");
        pugi::xml_node last;
        for (const pugi::xml_node pin : cputune.children(element)) last = pin;
        if (last)
            xml_.insert_after(last, added);
        else
            xml_.append(cputune, added);
    }

    /// Made, behind its sibling or last, when it is not there.
    pugi::xml_node child_of_root(const char* name, const char* behind)
    {
        if (!xml_.root().child(name)) {
            const Element element{name, {}, {}, ""};
            if (const auto sibling = xml_.root().child(behind))
                xml_.insert_after(sibling, element);
            else
                xml_.append(xml_.root(), element);
        }
        return xml_.root().child(name);
    }

    // ---- the guest ----------------------------------------------------------

    /// KVM's hint that vCPUs are never preempted is true, and so right, only if
    /// each has a host CPU of its own.
    void hint()
    {
        if (domain_.type != "kvm" || domain_.hint_dedicated) return;
        CpuSet used;
        for (unsigned vcpu = 0; vcpu < domain_.vcpus; ++vcpu) {
            const auto pin = domain_.vcpu_pins.find(vcpu);
            if (pin == domain_.vcpu_pins.end() || pin->second.size() != 1 ||
                !used.insert(*pin->second.begin()).second)
                return;
        }
        if (xml_.root().child("features").child("kvm").child("hint-dedicated"))
            return;  // somebody has switched it off
        const Element element{"hint-dedicated", {{"state", "on"}}, {}, ""};
        const auto features = child_of_root("features", "os");
        if (const auto kvm = features.child("kvm"))
            xml_.append(kvm, element);
        else
            xml_.append(features, {"kvm", {}, {element}, ""});
        changed("hint-dedicated", "each vCPU has a host CPU of its own");
    }

    void kernel()
    {
        const std::string isolated = format_cpulist(isolated_);
        const std::string housekeeping =
            format_cpulist(complement(isolated_, domain_.vcpus));
        if (!domain_.direct_kernel) {
            note(Kind::kNote, "kernel",
                 "the guest boots by itself: give its kernel ipi_defer=" +
                     options_.mode + " nohz_full=" + isolated +
                     " isolcpus=managed_irq,domain," + isolated +
                     " irqaffinity=" + housekeeping);
            return;
        }
        parameter("ipi_defer", options_.mode, [this](const std::string& now) {
            return now == options_.mode;
        });
        const auto isolates = [this](const char* name) {
            return [this, name](const std::string&) {
                const auto cpus =
                    kernel_cpus(domain_.command_line, name, domain_.vcpus);
                return cpus && std::ranges::includes(*cpus, isolated_);
            };
        };
        parameter("nohz_full", isolated, isolates("nohz_full"));
        parameter("isolcpus", "managed_irq,domain," + isolated,
                  isolates("isolcpus"));
        parameter("irqaffinity", housekeeping, [this](const std::string&) {
            const auto cpus =
                kernel_cpus(domain_.command_line, "irqaffinity", domain_.vcpus);
            return cpus && without(*cpus, isolated_).size() == cpus->size();
        });
    }

    template <class Right>
    void parameter(const std::string& name, const std::string& value,
                   const Right& right)
    {
        const auto now = kernel_parameter(domain_.command_line, name);
        if (now && right(*now)) return;
        if (now && !conflict("cmdline", "the guest's kernel has " + name + '=' +
                                            *now + ", not " + value))
            return;
        const std::string line =
            with_parameters(without_parameter(domain_.command_line, name),
                            {name + '=' + value});
        if (const auto element = xml_.root().child("os").child("cmdline"))
            xml_.set_text(element, line);
        else
            xml_.append(xml_.root().child("os"), {"cmdline", {}, {}, line});
        changed("cmdline", name + '=' + value);
    }

    XmlText xml_;
    const PlanOptions& options_;
    const HostCpus& host_;
    const std::optional<Emulator>& emulator_;
    Domain domain_;
    CpuSet isolated_;
    std::map<std::string, std::vector<std::pair<Seat, std::string>>> pins_;
    std::vector<Change> changes_;
};

}  // namespace

bool Plan::has(Change::Kind kind) const
{
    return std::ranges::find(changes, kind, &Change::kind) != changes.end();
}

Plan make_plan(const std::string& xml, const PlanOptions& options,
               const HostCpus& host, const std::optional<Emulator>& emulator)
{
    return Planner{xml, options, host, emulator}.run();
}

}  // namespace ipidefer::domain

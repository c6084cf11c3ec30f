// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics.hpp"

#include <ipidefer/ipidefer.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <chrono>

#include "vectors.hpp"
#include "verdicts.hpp"
#include "version.hpp"

namespace ipidefer::daemon {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using segment::Counters;
using segment::VmStatus;

using Labels = std::vector<ClientMetric::Label>;

MetricFamily family(const char* name, const char* help, MetricType type)
{
    MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    return family;
}

void add(MetricFamily& family, Labels labels, double value)
{
    ClientMetric metric;
    metric.label = std::move(labels);
    if (family.type == MetricType::Counter)
        metric.counter.value = value;
    else
        metric.gauge.value = value;
    family.metric.push_back(std::move(metric));
}

struct Families {
    MetricFamily ipis =
        family("ipidefer_ipis_total",
               "Typed IPIs by target, and what became of them; each has one "
               "verdict.",
               MetricType::Counter);
    MetricFamily expired =
        family("ipidefer_max_age_deliveries_total",
               "Recorded work that was delivered as well, since it had waited "
               "longer than the policy allows.",
               MetricType::Counter);

    void counters(const std::string& domain, const std::string& vcpu,
                  std::uint8_t vector, const Counters& c)
    {
        const std::string name = segment::vector_name(vector);
        for (unsigned v = IPIDEFER_DEFERRED; v < IPIDEFER_VERDICTS; ++v) {
            const auto [verdict, reason] = segment::verdict_words(v);
            add(ipis,
                {{"domain", domain},
                 {"vcpu", vcpu},
                 {"vector", name},
                 {"verdict", std::string{verdict}},
                 {"reason", std::string{reason}}},
                static_cast<double>(c.of(v)));
        }
        add(expired, {{"domain", domain}, {"vcpu", vcpu}, {"vector", name}},
            static_cast<double>(c.max_age));
    }
};

}  // namespace

std::string metrics_text(const std::vector<VmStatus>& vms, std::size_t broken,
                         const LibvirtState& libvirt)
{
    Families families;
    MetricFamily build = family("ipidefer_build_info", "The daemon's version.",
                                MetricType::Gauge);
    add(build, {{"version", kVersion}}, 1);
    MetricFamily domains = family("ipidefer_domains", "VMs that are looked at.",
                                  MetricType::Gauge);
    add(domains, {}, static_cast<double>(vms.size()));
    MetricFamily unreadable =
        family("ipidefer_broken_segments", "Segments that cannot be read.",
               MetricType::Gauge);
    add(unreadable, {}, static_cast<double>(broken));
    MetricFamily connected =
        family("ipidefer_libvirt_connected",
               "Whether libvirt tells of its domains; absent when it is not "
               "asked.",
               MetricType::Gauge);
    if (libvirt.connected) add(connected, {}, *libvirt.connected ? 1 : 0);
    MetricFamily info =
        family("ipidefer_domain_info",
               "The libvirt domain that a VM is, by name and UUID; always 1.",
               MetricType::Gauge);
    MetricFamily enabled =
        family("ipidefer_domain_enabled",
               "Whether the VM defers at all: 0 is the kill switch.",
               MetricType::Gauge);
    MetricFamily isolated = family(
        "ipidefer_vcpu_isolated", "Whether the policy names the vCPU isolated.",
        MetricType::Gauge);
    MetricFamily oldest =
        family("ipidefer_oldest_pending_seconds",
               "How long the longest waiting work of a vCPU has waited; 0 when "
               "none waits.",
               MetricType::Gauge);
    MetricFamily dropped =
        family("ipidefer_trace_dropped_total",
               "Trace events that found their entry still being written.",
               MetricType::Counter);
    for (const VmStatus& vm : vms) {
        if (const auto domain = libvirt.domains.find(vm.name);
            domain != libvirt.domains.end())
            add(info,
                {{"domain", vm.name},
                 {"name", domain->second.name},
                 {"uuid", domain->second.uuid}},
                1);
        add(enabled, {{"domain", vm.name}}, vm.policy.enabled ? 1 : 0);
        add(dropped, {{"domain", vm.name}},
            static_cast<double>(vm.trace_dropped));
        for (const auto& vcpu : vm.vcpus) {
            const std::string number = std::to_string(vcpu.vcpu);
            const Labels labels{{"domain", vm.name}, {"vcpu", number}};
            add(isolated, labels, vcpu.isolated ? 1 : 0);
            const auto age =
                vcpu.oldest_pending.value_or(std::chrono::nanoseconds{0});
            add(oldest, labels, std::chrono::duration<double>(age).count());
            for (const auto& [vector, counters] : vcpu.by_vector)
                families.counters(vm.name, number, vector, counters);
        }
        for (const auto& [vector, counters] : vm.out_of_range)
            families.counters(vm.name, "none", vector, counters);
    }
    return prometheus::TextSerializer{}.Serialize(
        {build, domains, unreadable, connected, info, enabled, isolated,
         families.ipis, families.expired, oldest, dropped});
}

}  // namespace ipidefer::daemon

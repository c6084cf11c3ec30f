// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/metrics.hpp"

#include <ipidefer/ipidefer.h>
#include <prometheus/text_serializer.h>

#include <chrono>

#include "base/version.hpp"
#include "vmm/terms/names.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::daemon {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using segment::VmStatus;
using terms::VerdictCounts;

using Labels = std::vector<ClientMetric::Label>;

MetricFamily family(const char* name, const char* help, MetricType type)
{
    MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    return family;
}

/// Of a VM that is summed up.
constexpr char kAllVcpus[] = "all";

void add_sample(MetricFamily& family, Labels labels, double value)
{
    ClientMetric metric;
    metric.label = std::move(labels);
    if (family.type == MetricType::Counter)
        metric.counter.value = value;
    else
        metric.gauge.value = value;
    family.metric.push_back(std::move(metric));
}

/// Of one vector to one target: each verdict, and those for age.
constexpr std::size_t kSamplesOfRow = terms::kCountedVerdicts.size() + 1;
/// Of a VM and of a vCPU, whatever it counted.
constexpr std::size_t kSamplesOfVm = 3;
constexpr std::size_t kSamplesOfVcpu = 2;

std::size_t samples_of(const VmStatus& vm)
{
    std::size_t rows = vm.out_of_range.size();
    for (const auto& vcpu : vm.vcpus) rows += vcpu.by_vector.size();
    return kSamplesOfVm + kSamplesOfVcpu * vm.vcpus.size() +
           kSamplesOfRow * rows;
}

std::map<std::uint8_t, VerdictCounts> sums(const VmStatus& vm)
{
    std::map<std::uint8_t, VerdictCounts> sums = vm.out_of_range;
    for (const auto& vcpu : vm.vcpus)
        for (const auto& [vector, counters] : vcpu.by_vector)
            sums[vector] += counters;
    return sums;
}

std::size_t samples_of(const std::map<std::uint8_t, VerdictCounts>& sums)
{
    return kSamplesOfVm + 1 + kSamplesOfRow * sums.size();
}

}  // namespace

Scrape::Scrape(const Limits& limits, const LibvirtState& libvirt)
    : limits_{limits},
      libvirt_{libvirt},
      info_{family("ipidefer_domain_info",
                   "The libvirt domain that a VM is, by name and UUID; always "
                   "1.",
                   MetricType::Gauge)},
      enabled_{family("ipidefer_domain_enabled",
                      "Whether the VM defers at all: 0 is the kill switch.",
                      MetricType::Gauge)},
      isolated_{family("ipidefer_vcpu_isolated",
                       "Whether the policy names the vCPU isolated.",
                       MetricType::Gauge)},
      ipis_{family("ipidefer_ipis_total",
                   "Typed IPIs by target, and what became of them; each has "
                   "one verdict.",
                   MetricType::Counter)},
      expired_{family("ipidefer_max_age_deliveries_total",
                      "Recorded work that was delivered as well, since it had "
                      "waited longer than the policy allows.",
                      MetricType::Counter)},
      oldest_{family("ipidefer_oldest_pending_seconds",
                     "How long the longest waiting work of a vCPU has waited; "
                     "0 when none waits.",
                     MetricType::Gauge)},
      dropped_{family("ipidefer_trace_dropped_total",
                      "Trace events that found their entry still being "
                      "written.",
                      MetricType::Counter)},
      samples_missing_{family("ipidefer_samples_missing",
                              "Samples of a VM that are not here, since there "
                              "are more than the configuration allows.",
                              MetricType::Gauge)}
{
}

void Scrape::add(const VmStatus& vm)
{
    ++vms_;
    const std::size_t all = samples_of(vm);
    std::size_t shown = 0;
    if (all <= limits_.samples_per_vm && samples_ + all <= limits_.samples) {
        vcpus_of(vm);
        shown = all;
    } else if (const std::size_t summed = samples_of(sums(vm));
               summed <= limits_.samples_per_vm &&
               samples_ + summed <= limits_.samples) {
        sums_of(vm);
        shown = summed;
        missing_[vm.name] = "summed up over its vCPUs";
    } else {
        missing_[vm.name] = "left out";
    }
    samples_ += shown;
    if (shown != all) {
        missing_[vm.name] +=
            ": it has " + std::to_string(all) + " samples, limit " +
            std::to_string(limits_.samples_per_vm) + " a VM and " +
            std::to_string(limits_.samples) + " in all";
        add_sample(samples_missing_, {{"domain", vm.name}},
                   static_cast<double>(all - shown));
    }
    if (shown == 0) return;
    if (const auto domain = libvirt_.domains.find(vm.name);
        domain != libvirt_.domains.end())
        add_sample(info_,
                   {{"domain", vm.name},
                    {"name", domain->second.name},
                    {"uuid", domain->second.uuid}},
                   1);
    add_sample(enabled_, {{"domain", vm.name}}, vm.policy.enabled ? 1 : 0);
    add_sample(dropped_, {{"domain", vm.name}},
               static_cast<double>(vm.trace_dropped));
}

void Scrape::vcpus_of(const VmStatus& vm)
{
    for (const auto& vcpu : vm.vcpus) {
        const std::string number = std::to_string(vcpu.vcpu);
        add_sample(isolated_, {{"domain", vm.name}, {"vcpu", number}},
                   vcpu.isolated ? 1 : 0);
        oldest(vm.name, number, vcpu.oldest_pending);
        counters(vm.name, number, vcpu.by_vector);
    }
    counters(vm.name, "none", vm.out_of_range);
}

void Scrape::sums_of(const VmStatus& vm)
{
    oldest(vm.name, kAllVcpus, vm.oldest_pending());
    counters(vm.name, kAllVcpus, sums(vm));
}

void Scrape::oldest(const std::string& domain, const std::string& vcpu,
                    const std::optional<std::chrono::nanoseconds>& age)
{
    add_sample(
        oldest_, {{"domain", domain}, {"vcpu", vcpu}},
        std::chrono::duration<double>(age.value_or(std::chrono::nanoseconds{0}))
            .count());
}

void Scrape::counters(const std::string& domain, const std::string& vcpu,
                      const std::map<std::uint8_t, VerdictCounts>& by_vector)
{
    for (const auto& [vector, c] : by_vector) {
        const std::string name = terms::vector_name(vector);
        for (const ipidefer_verdict v : terms::kCountedVerdicts) {
            const auto [verdict, reason] = terms::verdict_words(v);
            add_sample(ipis_,
                       {{"domain", domain},
                        {"vcpu", vcpu},
                        {"vector", name},
                        {"verdict", std::string{verdict}},
                        {"reason", std::string{reason}}},
                       static_cast<double>(c[v]));
        }
        add_sample(expired_,
                   {{"domain", domain}, {"vcpu", vcpu}, {"vector", name}},
                   static_cast<double>(c.max_age));
    }
}

std::string Scrape::text(const DaemonState& state)
{
    Family build = family("ipidefer_build_info", "The daemon's version.",
                          MetricType::Gauge);
    add_sample(build, {{"version", kVersion}}, 1);
    Family domains = family("ipidefer_domains", "VMs that are looked at.",
                            MetricType::Gauge);
    add_sample(domains, {}, static_cast<double>(vms_));
    Family unreadable =
        family("ipidefer_broken_segments", "Segments that cannot be read.",
               MetricType::Gauge);
    add_sample(unreadable, {}, static_cast<double>(state.broken));
    Family unwatched =
        family("ipidefer_segments_left_out",
               "Segments that are not watched: other users' files, or more "
               "than the configuration allows.",
               MetricType::Gauge);
    add_sample(unwatched, {}, static_cast<double>(state.left_out));
    Family kept = family("ipidefer_audit_pending",
                         "Entries that the audit log has not taken yet.",
                         MetricType::Gauge);
    add_sample(kept, {}, static_cast<double>(state.audit_kept));
    Family lost = family("ipidefer_audit_lost_total",
                         "Entries that are not in the audit log, since it did "
                         "not take so many.",
                         MetricType::Counter);
    add_sample(lost, {}, static_cast<double>(state.audit_lost));
    Family connected =
        family("ipidefer_libvirt_connected",
               "Whether libvirt tells of its domains; absent when it is not "
               "asked.",
               MetricType::Gauge);
    if (libvirt_.connected)
        add_sample(connected, {}, *libvirt_.connected ? 1 : 0);
    return prometheus::TextSerializer{}.Serialize(
        {build, domains, unreadable, unwatched, kept, lost, connected, info_,
         enabled_, isolated_, ipis_, expired_, oldest_, dropped_,
         samples_missing_});
}

}  // namespace ipidefer::daemon

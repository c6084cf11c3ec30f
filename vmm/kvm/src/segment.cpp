// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/segment.hpp"

#include <grp.h>

#include <cstdio>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "base/version.hpp"

namespace ipidefer::vmm {

std::optional<gid_t> group_of(const std::string& text)
{
    const auto number = number_of<gid_t>(text);
    if (number && *number != static_cast<gid_t>(-1)) return number;
    // Not getgrnam(): in a static program it needs the C library's modules.
    struct Close {
        void operator()(std::FILE* file) const { (void)std::fclose(file); }
    };
    const std::unique_ptr<std::FILE, Close> file{
        std::fopen("/etc/group", "re")};
    if (file == nullptr) return std::nullopt;
    while (const group* entry = ::fgetgrent(file.get()))
        if (text == entry->gr_name) return entry->gr_gid;
    return std::nullopt;
}

CoreVm::CoreVm(unsigned vcpus, const std::optional<SegmentConfig>& segment)
{
    if (!segment) {
        alone_.reset(ipidefer_vm_create(vcpus));
        vm_ = alone_.get();
        if (vm_ == nullptr)
            throw Failure{Exit::kCannotRun,
                          "no decision core for " + std::to_string(vcpus) +
                              " vCPUs, limit " +
                              std::to_string(IPIDEFER_MAX_VCPUS)};
        return;
    }
    ipidefer_shm_options options{};
    if (!segment->directory.empty())
        options.directory = segment->directory.c_str();
    options.name = segment->name.c_str();
    const std::string producer = std::string{"ipidefer-vmm "} + kVersion;
    options.producer = producer.c_str();
    options.vcpus = vcpus;
    options.ring_entries = segment->trace_entries;
    options.mode = segment->mode;
    options.group = segment->group;
    ipidefer_shm_error error{};
    shm_.reset(ipidefer_shm_create(&options, &error));
    if (shm_ == nullptr || ipidefer_shm_guard(&error) != 0)
        throw Failure{Exit::kCannotRun, std::string{"segment: "} + error.text};
    vm_ = ipidefer_shm_vm(shm_.get());
}

void CoreVm::publish()
{
    ipidefer_shm_error error{};
    if (shm_ != nullptr && ipidefer_shm_publish(shm_.get(), &error) != 0)
        throw Failure{Exit::kCannotRun, std::string{"segment: "} + error.text};
}

}  // namespace ipidefer::vmm

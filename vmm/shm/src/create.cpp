// SPDX-License-Identifier: GPL-2.0-or-later
// The VMM's side: create a segment, keep its clock, end it.
#include <ipidefer/shm.h>
#include <sys/stat.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "clock.hpp"
#include "error.hpp"
#include "file.hpp"
#include "guard.hpp"
#include "name.hpp"
#include "owner.hpp"

namespace ipidefer::shm {
namespace {

constexpr mode_t kDefaultMode = 0600;
constexpr mode_t kPermissions = 0777;
constexpr long kMeasureNs = 20'000'000;
/// Stale segments of our name that others may put there while we remove one.
constexpr int kTries = 8;

/// A file that has no name of a segment yet. The caller removes `draft`.
Fd make_draft(const Fd& folder, const char* directory, FileName& draft,
              ipidefer_shm_error* error) noexcept
{
    static std::atomic<unsigned> number{0};
    Fd file;
    do {
        std::snprintf(draft, sizeof draft, ".ipidefer-%d-%u",
                      static_cast<int>(::getpid()),
                      // Ordering: RELAXED: distinct numbers are all we need.
                      number.fetch_add(1, std::memory_order_relaxed));
        file = Fd{::openat(folder.get(), draft,
                           O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
        // Of a process that died, and had our pid.
    } while (!file.valid() && errno == EEXIST);
    if (!file.valid()) fail_errno(error, "create a segment in", directory);
    return file;
}

bool prepare(const Fd& file, std::size_t bytes,
             const ipidefer_shm_options& options,
             ipidefer_shm_error* error) noexcept
{
    // Allocated, not just long enough: a full file system is an error here,
    // and not a SIGBUS later.
    if (const int code =
            ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
        code != 0) {
        fail(error, code, "no room for a segment of %zu bytes: %s", bytes,
             strerrordesc_np(code));
        return false;
    }
    if (options.group != static_cast<gid_t>(-1) &&
        ::fchown(file.get(), static_cast<uid_t>(-1), options.group) != 0) {
        fail_errno(error, "set the group of the segment of", options.name);
        return false;
    }
    const mode_t mode = options.mode == 0 ? kDefaultMode : options.mode;
    if (::fchmod(file.get(), mode & kPermissions) != 0) {
        fail_errno(error, "set the mode of the segment of", options.name);
        return false;
    }
    return true;
}

void set_text(char* field, std::size_t size, const char* text) noexcept
{
    std::snprintf(field, size, "%s", text == nullptr ? "" : text);
}

}  // namespace
}  // namespace ipidefer::shm

struct ipidefer_shm {
    ipidefer::shm::Mapping mapping;
    ipidefer::shm::Fd folder;
    ipidefer::shm::Fd file;
    char vm_name[IPIDEFER_SEGMENT_NAME]{};
    ipidefer::shm::FileName draft{};
    ipidefer::shm::FileName name{};
    ipidefer_vm* vm = nullptr;
    bool published = false;
    std::uint32_t clock_seq = 0;
    ipidefer_clock_sample first{};

    ~ipidefer_shm() { ipidefer_vm_destroy(vm); }
    [[nodiscard]] ipidefer_segment& header() const noexcept
    {
        return *static_cast<ipidefer_segment*>(mapping.memory());
    }
};

namespace ipidefer::shm {
namespace {

/// Only our own: somebody may have removed it and made another.
void remove_name(const ipidefer_shm& shm) noexcept
{
    const char* const name = shm.published ? shm.name : shm.draft;
    struct stat ours {};
    struct stat named {};
    if (::fstat(shm.file.get(), &ours) == 0 &&
        ::fstatat(shm.folder.get(), name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_dev == named.st_dev && ours.st_ino == named.st_ino)
        ::unlinkat(shm.folder.get(), name, 0);
}

/// Everything but the name.
bool fill(ipidefer_shm& shm, const ipidefer_shm_options& options,
          std::size_t bytes, ipidefer_shm_error* error) noexcept
{
    shm.first = sample_clocks();
    if (!shm.mapping.map(shm.file.get(), bytes, true)) {
        fail_errno(error, "map the segment of", options.name);
        return false;
    }
    shm.vm = ipidefer_vm_create_in(shm.mapping.memory(), bytes, options.vcpus,
                                   options.ring_entries);
    if (shm.vm == nullptr) {
        fail(error, ENOMEM, "no memory for VM '%s'", options.name);
        return false;
    }
    ipidefer_segment& header = shm.header();
    set_text(shm.vm_name, sizeof shm.vm_name, options.name);
    set_text(header.name, sizeof header.name, options.name);
    set_text(header.producer, sizeof header.producer, options.producer);
    const Owner owner = self();
    header.pid = owner.pid;
    header.pid_start = owner.start;
    header.pid_ns = owner.ns;
    const timespec wait{0, kMeasureNs};
    ::nanosleep(&wait, nullptr);
    ipidefer_shm_set_clock(&shm);
    // Ordering: RELEASE: who sees LIVE sees all of it.
    std::atomic_ref{header.state}.store(IPIDEFER_SEGMENT_LIVE,
                                        std::memory_order_release);
    return true;
}

}  // namespace
}  // namespace ipidefer::shm

ipidefer_shm* ipidefer_shm_create(const ipidefer_shm_options* options,
                                  ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    const std::size_t bytes =
        ipidefer_segment_bytes(options->vcpus, options->ring_entries);
    if (bytes == 0) {
        fail(error, EINVAL,
             "a segment has 1 to %u vCPUs, not %" PRIu32
             ", and 0 or a power of two up to %u trace entries, not %" PRIu32,
             IPIDEFER_MAX_VCPUS, options->vcpus, IPIDEFER_SEGMENT_MAX_RING,
             options->ring_entries);
        return nullptr;
    }
    std::unique_ptr<ipidefer_shm> shm{new (std::nothrow) ipidefer_shm{}};
    if (shm == nullptr) {
        fail(error, ENOMEM, "no memory");
        return nullptr;
    }
    const char* directory = or_default(options->directory);
    if (!file_of_name(options->name, shm->name, error)) return nullptr;
    shm->folder = open_folder(directory, error);
    if (!shm->folder.valid()) return nullptr;

    shm->file = make_draft(shm->folder, directory, shm->draft, error);
    if (!shm->file.valid()) return nullptr;
    if (!prepare(shm->file, bytes, *options, error) ||
        !fill(*shm, *options, bytes, error)) {
        remove_name(*shm);
        return nullptr;
    }
    return shm.release();
}

int ipidefer_shm_publish(ipidefer_shm* shm, ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    for (int i = 0; i < kTries; ++i) {
        if (::linkat(shm->folder.get(), shm->draft, shm->folder.get(),
                     shm->name, 0) == 0) {
            remove_name(*shm);
            shm->published = true;
            return 0;
        }
        if (errno != EEXIST) {
            fail_errno(error, "name the segment of", shm->vm_name);
            return -1;
        }
        // In the place of a stale one.
        ipidefer_shm_error why{};
        if (remove_stale(shm->folder, shm->vm_name, &why) != 0 &&
            why.code != ENOENT) {
            fail(error, EEXIST, "there is a segment of VM '%s': %s",
                 shm->vm_name, why.text);
            return -1;
        }
    }
    fail(error, EEXIST, "others keep creating segments of VM '%s'",
         shm->vm_name);
    return -1;
}

ipidefer_vm* ipidefer_shm_vm(ipidefer_shm* shm) { return shm->vm; }

void ipidefer_shm_set_clock(ipidefer_shm* shm)
{
    using namespace ipidefer::shm;
    const ipidefer_clock_sample now = sample_clocks();
    const std::uint64_t hz = tsc_frequency(shm->first, now);
    ipidefer_set_tsc_hz(shm->vm, hz);

    ipidefer_segment& header = shm->header();
    const auto put = [](std::uint64_t& field, std::uint64_t value) {
        // Ordering: RELEASE: after the odd seq; pairs with the acquire loads
        //   of the readers (host/segment/segment.cpp).
        std::atomic_ref{field}.store(value, std::memory_order_release);
    };
    const std::atomic_ref seq{header.clock_seq};
    // Ordering: RELAXED: the fields order themselves after it.
    seq.store(++shm->clock_seq, std::memory_order_relaxed);
    put(header.clock.tsc, now.tsc);
    put(header.clock.monotonic_ns, now.monotonic_ns);
    put(header.clock.realtime_ns, now.realtime_ns);
    put(header.tsc_hz, hz);
    // Ordering: RELEASE: the fields before the even seq.
    seq.store(++shm->clock_seq, std::memory_order_release);
}

void ipidefer_shm_set_guest_tsc_offset(ipidefer_shm* shm, int64_t offset)
{
    ipidefer_segment& header = shm->header();
    std::atomic_ref{header.guest_tsc_offset}.store(offset,
                                                   std::memory_order_relaxed);
    // Ordering: RELEASE: the offset before its validity.
    std::atomic_ref{header.guest_tsc_known}.store(1, std::memory_order_release);
}

void ipidefer_shm_end(ipidefer_shm* shm)
{
    // Ordering: RELEASE: the last counters before the end.
    std::atomic_ref{shm->header().state}.store(IPIDEFER_SEGMENT_ENDED,
                                               std::memory_order_release);
    ipidefer::shm::remove_name(*shm);
}

void ipidefer_shm_destroy(ipidefer_shm* shm)
{
    if (shm == nullptr) return;
    ipidefer_shm_end(shm);
    delete shm;
}

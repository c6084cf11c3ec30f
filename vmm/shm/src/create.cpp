// SPDX-License-Identifier: GPL-2.0-or-later
// The VMM's side: create a segment, keep its clock, end it.
#include <fcntl.h>
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

#include "vmm/shm/src/clock.hpp"
#include "vmm/shm/src/error.hpp"
#include "vmm/shm/src/file.hpp"
#include "vmm/shm/src/folder.hpp"
#include "vmm/shm/src/guard.hpp"
#include "vmm/shm/src/name.hpp"
#include "vmm/shm/src/stale.hpp"

namespace ipidefer::shm {
namespace {

constexpr mode_t kDefaultMode = 0600;
constexpr mode_t kPermissions = 0777;
constexpr long kMeasureNs = 20'000'000;
/// Random names that are taken already.
constexpr int kTries = 8;

std::uint64_t pid_namespace() noexcept
{
    struct stat ns {};
    return ::stat("/proc/self/ns/pid", &ns) == 0 ? ns.st_ino : 0;
}

/// How a VM is called in a message.
class Shown final {
  public:
    explicit Shown(const char* name) noexcept
    {
        ipidefer_shm_show_name(name, text_);
    }
    [[nodiscard]] const char* text() const noexcept { return text_; }

  private:
    char text_[IPIDEFER_SHM_SHOWN];
};

/// A file without a name, which is gone when its last descriptor is.
Fd make_file(const Fd& folder, ipidefer_shm_error* error) noexcept
{
    Fd file{::openat(folder.get(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600)};
    if (!file.valid()) {
        if (errno == EOPNOTSUPP || errno == EISDIR)
            fail(error, EOPNOTSUPP,
                 "the folder's file system knows no unnamed files "
                 "(O_TMPFILE): segments need one that does, such as tmpfs");
        else
            fail_errno(error, "create a file in", "the folder of segments");
    }
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
        fail_errno(error, "set the group of the segment of",
                   Shown{options.name}.text());
        return false;
    }
    const mode_t mode = options.mode == 0 ? kDefaultMode : options.mode;
    if (::fchmod(file.get(), mode & kPermissions) != 0) {
        fail_errno(error, "set the mode of the segment of",
                   Shown{options.name}.text());
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
    ipidefer::shm::FileName name{};  // empty: not published
    ipidefer_vm* vm = nullptr;
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

/// Is this the name of our very file? Somebody may have removed it.
bool names(const Fd& folder, const char* name, const Fd& file) noexcept
{
    struct stat ours {};
    struct stat named {};
    return ::fstat(file.get(), &ours) == 0 &&
           ::fstatat(folder.get(), name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/// We hold the file's lock, without which nobody else removes its name, and
/// nobody else's file gets a name with our random number.
void remove_name(ipidefer_shm& shm) noexcept
{
    if (shm.name[0] == '\0' || !names(shm.folder, shm.name, shm.file)) return;
    ::unlinkat(shm.folder.get(), shm.name, 0);
}

/// Give a file without a name one. As root by its descriptor alone, else by the
/// path that /proc has for it.
bool link_file(const Fd& file, const Fd& folder, const char* name) noexcept
{
    if (::linkat(file.get(), "", folder.get(), name, AT_EMPTY_PATH) == 0)
        return true;
    if (errno == EEXIST) return false;
    char path[40];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", file.get());
    return ::linkat(AT_FDCWD, path, folder.get(), name, AT_SYMLINK_FOLLOW) == 0;
}

/// What VMMs of this user that were killed left of VMs of this name. Nothing
/// depends on it: their names are not ours.
void remove_stale_ones(const ipidefer_shm& shm) noexcept
{
    Entries entries{shm.folder};
    const uid_t user = ::geteuid();
    char name[IPIDEFER_SEGMENT_NAME];
    while (const char* file = entries.next()) {
        struct stat status {};
        if (!ipidefer_shm_name_of_file(file, name) ||
            std::strcmp(name, shm.vm_name) != 0 ||
            ::fstatat(shm.folder.get(), file, &status, AT_SYMLINK_NOFOLLOW) !=
                0 ||
            status.st_uid != user || !S_ISREG(status.st_mode))
            continue;
        (void)remove_if_gone(shm.folder, file);
    }
}

/// Everything but the name.
bool fill(ipidefer_shm& shm, const ipidefer_shm_options& options,
          std::size_t bytes, ipidefer_shm_error* error) noexcept
{
    shm.first = sample_clocks();
    if (!shm.mapping.map(shm.file.get(), bytes, true)) {
        fail_errno(error, "map the segment of", Shown{options.name}.text());
        return false;
    }
    shm.vm = ipidefer_vm_create_in(shm.mapping.memory(), bytes, options.vcpus,
                                   options.ring_entries);
    if (shm.vm == nullptr) {
        fail(error, ENOMEM, "no memory for VM '%s'",
             Shown{options.name}.text());
        return false;
    }
    ipidefer_segment& header = shm.header();
    set_text(shm.vm_name, sizeof shm.vm_name, options.name);
    set_text(header.name, sizeof header.name, options.name);
    set_text(header.producer, sizeof header.producer, options.producer);
    header.pid = static_cast<std::uint64_t>(::getpid());
    header.pid_ns = pid_namespace();
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
    // Refuses names, before anything is created.
    FileName unused;
    if (!file_of_name(options->name, 0, unused, error)) return nullptr;
    shm->folder =
        folder_for_vmm(options->directory, IPIDEFER_SHM_PARENT, error);
    if (!shm->folder.valid()) return nullptr;
    shm->file = make_file(shm->folder, error);
    if (!shm->file.valid()) return nullptr;
    // Before it has a name: whoever finds it finds it locked.
    if (!lock(shm->file)) {
        fail_errno(error, "lock the segment of", Shown{options->name}.text());
        return nullptr;
    }
    if (!prepare(shm->file, bytes, *options, error) ||
        !fill(*shm, *options, bytes, error))
        return nullptr;
    return shm.release();
}

int ipidefer_shm_publish(ipidefer_shm* shm, ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    for (int i = 0; i < kTries; ++i) {
        std::uint32_t tag = 0;
        FileName name;
        if (!random_tag(tag)) {
            fail_errno(error, "get a random number for the segment of",
                       Shown{shm->vm_name}.text());
            return -1;
        }
        if (!file_of_name(shm->vm_name, tag, name, error)) return -1;
        if (link_file(shm->file, shm->folder, name)) {
            std::memcpy(shm->name, name, sizeof name);
            remove_stale_ones(*shm);
            return 0;
        }
        if (errno != EEXIST) break;
    }
    fail_errno(error, "name the segment of", Shown{shm->vm_name}.text());
    return -1;
}

const char* ipidefer_shm_id(const ipidefer_shm* shm)
{
    return shm->name[0] == '\0' ? "" : ipidefer::shm::id_of_file(shm->name);
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

// SPDX-License-Identifier: GPL-2.0-or-later
// lab-memory KIND SIZE: has the kernel do something with SIZE MiB of memory of
// this process.
//
// KIND is pageout: pages go to swap (MADV_PAGEOUT), and come back; merge: pages
// that are all the same become one, by KSM, which has to be running; compact:
// every second page is given back, and the rest moves together. Some 30 MiB do
// not, as each CPU keeps as much of what was freed. Ends with 77 if the kernel
// cannot.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "experiments/guest/files.hpp"

namespace {

using namespace ipidefer;

constexpr std::size_t kPage = 4 << 10, kMiB = 1 << 20;
constexpr unsigned kMostMiB = 1024;

/// How often, and how many times, it is looked whether KSM has merged.
constexpr useconds_t kLookEveryUs = 100'000;
constexpr int kLooks = 300;

/// How often memory is compacted at most, until a page has moved.
constexpr int kCompactions = 10;

class Memory {
  public:
    explicit Memory(std::size_t size) : size_{size}
    {
        void* const area = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
            throw Failure{Exit::kCannotRun, std::strerror(errno)};
        at_ = static_cast<char*>(area);
        // Small pages, whatever the kernel does by itself; a kernel without
        // huge ones refuses, and has nothing else.
        (void)::madvise(at_, size, MADV_NOHUGEPAGE);
    }
    ~Memory() { ::munmap(at_, size_); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    void fill(bool same)
    {
        for (std::size_t at = 0; at < size_; at += kPage)
            std::memset(at_ + at, content(at, same), kPage);
    }
    [[nodiscard]] bool holds(bool same) const
    {
        for (std::size_t at = 0; at < size_; at += kPage)
            if (at_[at] != static_cast<char>(content(at, same))) return false;
        return true;
    }
    /// How many of the pages are in memory.
    [[nodiscard]] std::size_t resident() const
    {
        std::vector<unsigned char> all(pages());
        if (::mincore(at_, size_, all.data()) != 0) return all.size();
        std::size_t count = 0;
        for (const unsigned char page : all) count += page & 1;
        return count;
    }
    /// Where each page is, as the kernel shows it; empty when it does not.
    [[nodiscard]] std::vector<std::uint64_t> frames() const
    {
        std::vector<std::uint64_t> all(pages());
        const auto size = all.size() * sizeof all[0];
        const auto from = reinterpret_cast<std::uintptr_t>(at_) / kPage;
        const int fd = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        const ssize_t got = ::pread(fd, all.data(), size,
                                    static_cast<off_t>(from * sizeof all[0]));
        ::close(fd);
        if (got != static_cast<ssize_t>(size)) return {};
        return all;
    }
    [[nodiscard]] std::size_t pages() const { return size_ / kPage; }

    /// @return 0, or errno
    int advise(int advice)
    {
        return ::madvise(at_, size_, advice) == 0 ? 0 : errno;
    }
    int give_back_every_second()
    {
        for (std::size_t at = 0; at < size_; at += 2 * kPage)
            if (::madvise(at_ + at, kPage, MADV_DONTNEED) != 0) return errno;
        return 0;
    }

  private:
    /// Each byte of the page there.
    static int content(std::size_t at, bool same)
    {
        return same ? 1 : static_cast<int>(at / kPage % 251);
    }

    std::size_t size_;
    char* at_ = nullptr;
};

constexpr int kNotPossible = static_cast<int>(Exit::kNotPossible);

int fail(const char* what, int error)
{
    std::fprintf(stderr, "lab-memory: %s: %s\n", what, std::strerror(error));
    return 1;
}

int pageout(Memory& memory)
{
    memory.fill(false);
    const int error = memory.advise(MADV_PAGEOUT);
    if (error == EINVAL) {
        std::printf("this kernel pages nothing out on request\n");
        return kNotPossible;
    }
    if (error != 0) return fail("MADV_PAGEOUT", error);
    if (memory.resident() == memory.pages()) {
        std::fprintf(stderr, "lab-memory: no page was paged out\n");
        return 1;
    }
    return memory.holds(false) ? 0 : fail("pages came back", EIO);
}

/// Pages that KSM has merged with others, of all processes.
unsigned long merged()
{
    const auto text = lab::agent::read_file("/sys/kernel/mm/ksm/pages_sharing");
    return number_of<unsigned long>(trimmed(text.value_or(""))).value_or(0);
}

int merge(Memory& memory)
{
    memory.fill(true);
    const int error = memory.advise(MADV_MERGEABLE);
    if (error == EINVAL) {
        std::printf("this kernel merges no pages\n");
        return kNotPossible;
    }
    if (error != 0) return fail("MADV_MERGEABLE", error);
    for (int look = 0; merged() < memory.pages() / 2; ++look) {
        if (look == kLooks) return fail("KSM", ETIMEDOUT);
        ::usleep(kLookEveryUs);
    }
    // Writing takes each of them apart again.
    memory.fill(true);
    return memory.holds(true) ? 0 : fail("merged pages", EIO);
}

int compact(Memory& memory)
{
    constexpr const char* kFile = "/proc/sys/vm/compact_memory";
    if (::access(kFile, W_OK) != 0) {
        std::printf("this kernel compacts no memory on request\n");
        return kNotPossible;
    }
    // Where the pages come to lie is chance, and so whether any has to move.
    for (int attempt = 0; attempt < kCompactions; ++attempt) {
        memory.fill(false);
        if (const int error = memory.give_back_every_second(); error != 0)
            return fail("MADV_DONTNEED", error);
        const auto before = memory.frames();
        if (const auto why = lab::agent::write_file(kFile, "1"); !why.empty()) {
            std::fprintf(stderr, "lab-memory: %s\n", why.c_str());
            return 1;
        }
        if (!before.empty() && memory.frames() != before) return 0;
    }
    std::fprintf(stderr, "lab-memory: no page moved\n");
    return 1;
}

}  // namespace

int main(int argc, char** argv)
{
    const std::string_view kind = argc == 3 ? argv[1] : "";
    const unsigned size =
        number_of<unsigned>(argc == 3 ? argv[2] : "").value_or(0);
    const auto run = kind == "pageout"   ? pageout
                     : kind == "merge"   ? merge
                     : kind == "compact" ? compact
                                         : nullptr;
    if (run == nullptr || size == 0 || size > kMostMiB) {
        std::fprintf(stderr,
                     "usage: lab-memory pageout|merge|compact SIZE, in MiB, "
                     "from 1 to %u\n",
                     kMostMiB);
        return 1;
    }
    try {
        Memory memory{size * kMiB};
        return run(memory);
    } catch (const Failure& failure) {
        std::fprintf(stderr, "lab-memory: %s\n", failure.what());
        return 1;
    }
}

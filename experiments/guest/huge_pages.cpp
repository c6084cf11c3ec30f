// SPDX-License-Identifier: GPL-2.0-or-later
// lab-huge-pages N: N times, has the kernel collapse small pages into a huge
// one (MADV_COLLAPSE). Their page table is freed: whoever may be walking it
// must have left it. Ends with 77 if the kernel has no transparent huge pages.
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "base/text.hpp"
#include "experiments/guest/repeat.hpp"

namespace {

using namespace ipidefer;

constexpr std::size_t kHugePage = 2 << 20, kPage = 4 << 10;
// Linux 6.1; Debian 12's headers have it, older ones do not.
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/// @return 0, or errno
int collapse_once()
{
    void* const area = ::mmap(nullptr, 2 * kHugePage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) return errno;
    const auto address = reinterpret_cast<std::uintptr_t>(area);
    auto* const page = reinterpret_cast<volatile char*>(
        (address + kHugePage - 1) & ~(kHugePage - 1));
    auto* const huge = const_cast<char*>(page);
    // Small ones first, whatever the kernel does by itself.
    int error = ::madvise(huge, kHugePage, MADV_NOHUGEPAGE) == 0 ? 0 : errno;
    for (std::size_t at = 0; error == 0 && at < kHugePage; at += kPage)
        page[at] = 1;
    if (error == 0 && (::madvise(huge, kHugePage, MADV_HUGEPAGE) != 0 ||
                       ::madvise(huge, kHugePage, MADV_COLLAPSE) != 0))
        error = errno;
    ::munmap(area, 2 * kHugePage);
    return error;
}

}  // namespace

int main(int argc, char** argv)
{
    const unsigned count =
        number_of<unsigned>(argc == 2 ? argv[1] : "").value_or(0);
    if (count == 0) {
        std::fprintf(stderr, "usage: lab-huge-pages N, a number from 1 on\n");
        return 1;
    }
    return lab::agent::repeat(
        {.once = [](std::uint64_t) { return collapse_once(); },
         .lacking = {EINVAL},
         .lacks = "transparent huge pages, or does not collapse",
         .name =
             [](std::uint64_t i) {
                 return "lab-huge-pages: collapse " + std::to_string(i + 1);
             }},
        count);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// lab-many-files: gives this process a table of a million open files, which the
// kernel has in huge pages if it can. Where the addresses had small pages
// before, their page table is freed, and nobody may be walking it.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

int main()
{
    // As many as the kernel allows at first, by fs.nr_open. The table is then
    // larger than what the kernel has in one piece.
    constexpr rlim_t kFiles = 1 << 20;
    const rlimit limit{kFiles, kFiles};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        std::perror("RLIMIT_NOFILE");
        return 1;
    }
    if (::dup2(STDERR_FILENO, static_cast<int>(kFiles) - 1) < 0) {
        std::perror("dup2");
        return 1;
    }
    return 0;
}

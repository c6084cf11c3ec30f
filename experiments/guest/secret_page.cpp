// SPDX-License-Identifier: GPL-2.0-or-later
// lab-secret-page: touches a page of secret memory, which the kernel takes out
// of its direct map. It takes secretmem.enable on the command line, or a kernel
// that has it on by default. Ends with 77 if the kernel has none.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/failure.hpp"

int main()
{
    constexpr off_t kSize = 4096;
    const int fd = static_cast<int>(::syscall(SYS_memfd_secret, 0));
    if (fd < 0) {
        const bool missing = errno == ENOSYS;
        std::perror("memfd_secret");
        return static_cast<int>(missing ? ipidefer::Exit::kNotPossible
                                        : ipidefer::Exit::kCannotRun);
    }
    if (::ftruncate(fd, kSize) != 0) {
        std::perror("ftruncate");
        return 1;
    }
    void* page =
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        std::perror("mmap");
        return 1;
    }
    *static_cast<volatile char*>(page) = 1;
}

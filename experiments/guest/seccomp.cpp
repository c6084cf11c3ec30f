// SPDX-License-Identifier: GPL-2.0-or-later
// lab-seccomp N: starts N processes, one after another, that put a filter on
// their own system calls and end. The kernel compiles each filter, and frees it
// with the last process that has it. Ends with 77 if the kernel has no filters.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

#include "base/text.hpp"
#include "experiments/guest/repeat.hpp"

namespace {

using namespace ipidefer;

/// What the filter answers to a system call that it does not allow.
constexpr int kRefusal = ENOTTY;

/// @return 0, or errno
int refuse_getppid()
{
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | kRefusal),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{sizeof code / sizeof code[0], code};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return errno;
    // A filter that does nothing would be one that was never compiled.
    if (::syscall(SYS_getppid) == -1 && errno == kRefusal) return 0;
    return EPROTO;
}

/// @return 0, or the errno of the process that ended
int filter_once()
{
    const pid_t child = ::fork();
    if (child < 0) return errno;
    if (child == 0) ::_exit(refuse_getppid());
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

}  // namespace

int main(int argc, char** argv)
{
    const unsigned count =
        number_of<unsigned>(argc == 2 ? argv[1] : "").value_or(0);
    if (count == 0) {
        std::fprintf(stderr, "usage: lab-seccomp N, a number from 1 on\n");
        return 1;
    }
    return lab::agent::repeat(
        {.once = [](std::uint64_t) { return filter_once(); },
         .lacking = {ENOSYS, EINVAL},
         .lacks = "filters of system calls",
         .name =
             [](std::uint64_t i) {
                 return "lab-seccomp: process " + std::to_string(i + 1);
             }},
        count);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// lab-bpf-attach N: attaches a filter to a socket, N times. Each one is
// compiled to machine code by the kernel's JIT, and freed when the next one
// takes its place. AF_UNIX, because the lab's kernel has no other sockets.
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/text.hpp"

int main(int argc, char** argv)
{
    const unsigned times =
        ipidefer::number_of<unsigned>(argc == 2 ? argv[1] : "").value_or(0);
    if (times == 0) {
        std::fprintf(stderr, "usage: lab-bpf-attach N, with N from 1 on\n");
        return 1;
    }
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0) {
        std::perror("socketpair");
        return 1;
    }
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const sock_fprog program{sizeof code / sizeof code[0], code};
    for (unsigned i = 0; i < times; ++i)
        if (::setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program,
                         sizeof program) != 0) {
            std::perror("SO_ATTACH_FILTER");
            return 1;
        }
}

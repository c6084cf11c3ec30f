// SPDX-License-Identifier: GPL-2.0-or-later
// lab-cgroup-bpf CGROUP N: attaches BPF programs of several kinds to a control
// group of version 2, and detaches them, N times. The first program of a kind
// switches a static key on, and the last one off. Ends with 77 if the kernel
// has no such programs.
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <iterator>

#include "base/text.hpp"
#include "experiments/guest/repeat.hpp"

namespace {

using namespace ipidefer;

struct Kind {
    bpf_prog_type program;
    bpf_attach_type attachment;
};

constexpr Kind kKinds[] = {
    {BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE},
    {BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL},
    {BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS},
};

int bpf(bpf_cmd command, bpf_attr& attr)
{
    return static_cast<int>(::syscall(SYS_bpf, command, &attr, sizeof attr));
}

std::uint64_t address_of(const void* data)
{
    return reinterpret_cast<std::uintptr_t>(data);
}

/// A program that allows everything.
int load(const Kind& kind)
{
    const bpf_insn code[] = {
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    bpf_attr attr{};
    attr.prog_type = kind.program;
    attr.expected_attach_type = kind.attachment;
    attr.insns = address_of(code);
    attr.insn_cnt = sizeof code / sizeof code[0];
    attr.license = address_of("GPL");
    return bpf(BPF_PROG_LOAD, attr);
}

/// @return 0, or errno
int attach_and_detach(int cgroup, const Kind& kind)
{
    const int program = load(kind);
    if (program < 0) return errno;
    bpf_attr attr{};
    attr.target_fd = static_cast<std::uint32_t>(cgroup);
    attr.attach_bpf_fd = static_cast<std::uint32_t>(program);
    attr.attach_type = kind.attachment;
    int error = bpf(BPF_PROG_ATTACH, attr) == 0 ? 0 : errno;
    if (error == 0 && bpf(BPF_PROG_DETACH, attr) != 0) error = errno;
    ::close(program);
    return error;
}

}  // namespace

int main(int argc, char** argv)
{
    const unsigned count =
        number_of<unsigned>(argc == 3 ? argv[2] : "").value_or(0);
    if (count == 0) {
        std::fprintf(stderr,
                     "usage: lab-cgroup-bpf CGROUP N, a number from 1 on\n");
        return 1;
    }
    const int cgroup = ::open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cgroup < 0) {
        std::perror(argv[1]);
        return 1;
    }
    const auto kind_of = [](std::uint64_t i) -> const Kind& {
        return kKinds[i % std::size(kKinds)];
    };
    return lab::agent::repeat(
        {.once =
             [&](std::uint64_t i) {
                 return attach_and_detach(cgroup, kind_of(i));
             },
         .lacking = {ENOSYS, EINVAL},
         .lacks = "programs of control groups",
         .name =
             [&](std::uint64_t i) {
                 return "lab-cgroup-bpf: kind " +
                        std::to_string(kind_of(i).attachment);
             }},
        std::uint64_t{count} * std::size(kKinds));
}

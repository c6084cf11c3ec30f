// SPDX-License-Identifier: GPL-2.0-or-later
// lab-bpf-maps KIND SIZE COUNT ROUNDS: creates COUNT BPF maps of SIZE bytes
// each, and closes them, ROUNDS times. Their memory is vmalloc's: what goes
// away is unmapped, and the TLBs of all CPUs must hear of it.
//
// KIND is array: one area of vmalloc each; or percpu: memory of the per-CPU
// allocator, on every CPU, one element of up to 32 KiB.
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/text.hpp"

namespace {

constexpr std::uint32_t kMostPerElement = 32 << 10;

int create_map(bpf_map_type type, std::uint32_t size)
{
    bpf_attr attr{};
    attr.map_type = type;
    attr.key_size = sizeof(std::uint32_t);
    attr.value_size = std::min(size, kMostPerElement);
    attr.max_entries = std::max(size / attr.value_size, 1u);
    return static_cast<int>(
        ::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
}

}  // namespace

int main(int argc, char** argv)
{
    std::array<std::uint32_t, 3> numbers{};
    bool good = argc == 5;
    for (std::size_t i = 0; good && i < numbers.size(); ++i) {
        numbers[i] =
            ipidefer::number_of<std::uint32_t>(argv[i + 2]).value_or(0);
        good = numbers[i] > 0;
    }
    const std::string_view kind = good ? argv[1] : "";
    if (kind != "array" && kind != "percpu") {
        std::fprintf(stderr,
                     "usage: lab-bpf-maps array|percpu SIZE COUNT ROUNDS, "
                     "with numbers from 1 on\n");
        return 1;
    }
    const auto [size, count, rounds] = numbers;
    const auto type =
        kind == "array" ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_PERCPU_ARRAY;
    std::vector<int> maps;
    for (std::uint32_t round = 0; round < rounds; ++round) {
        for (std::uint32_t i = 0; i < count; ++i) {
            maps.push_back(create_map(type, size));
            if (maps.back() < 0) {
                std::perror("BPF_MAP_CREATE");
                return 1;
            }
        }
        for (const int map : maps) ::close(map);
        maps.clear();
    }
}

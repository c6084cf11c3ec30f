// SPDX-License-Identifier: GPL-2.0-or-later
// Nothing allocates but ipidefer_vm_create(). Counted in the C allocator
// (the linker wraps it) and in operator new, which libstdc++ serves from its
// own library where the wrapping does not reach.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "vmm/core/tests/guest_layout.hpp"

namespace {
std::size_t allocations = 0;
}

extern "C" {
void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t n, std::size_t size);
void* __real_realloc(void* p, std::size_t size);
void* __real_aligned_alloc(std::size_t align, std::size_t size);

void* __wrap_malloc(std::size_t size)
{
    ++allocations;
    return __real_malloc(size);
}
void* __wrap_calloc(std::size_t n, std::size_t size)
{
    ++allocations;
    return __real_calloc(n, size);
}
void* __wrap_realloc(void* p, std::size_t size)
{
    ++allocations;
    return __real_realloc(p, size);
}
void* __wrap_aligned_alloc(std::size_t align, std::size_t size)
{
    ++allocations;
    return __real_aligned_alloc(align, size);
}
}

// The array and the throwing forms of the standard library end in these.
void* operator new(std::size_t size)
{
    ++allocations;
    if (void* p = __real_malloc(size)) return p;
    std::abort();
}
void* operator new(std::size_t size, std::align_val_t align)
{
    ++allocations;
    const auto a = static_cast<std::size_t>(align);
    if (void* p = __real_aligned_alloc(a, (size + a - 1) / a * a)) return p;
    std::abort();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept
{
    std::free(p);
}

namespace ipidefer {
namespace {

TEST(VmAlloc, CreateIsSeenByTheCounters)
{
    const std::size_t before = allocations;
    const auto vm = test::make_vm(2);
    EXPECT_GE(allocations, before + 3);  // handle, vCPUs, counters
}

TEST(VmAlloc, DecisionsAndRegistrationAllocateNothing)
{
    const auto vm = test::make_vm(2);
    std::uint32_t word = test::kUser;
    const ipi_defer_binding table = test::make_binding();
    ipi_defer_binding out[IPI_DEFER_MAX_BINDINGS];
    ipidefer_counters counters;
    ipidefer_fault fault{};
    char text[128];
    std::uint32_t* const words[] = {&word};

    const std::size_t before = allocations;
    unsigned suppressed = 0;
    ipidefer_error error = ipidefer_set_isolated(vm.get(), 0, true);
    if (error == IPIDEFER_OK)
        error = ipidefer_table_decode(&table, sizeof table, 1, out, &fault);
    if (error == IPIDEFER_OK)
        error = ipidefer_bind(vm.get(), 0, out, words, 1, &fault);
    for (const std::uint32_t state : {test::kUser, test::kIdle, test::kGuest}) {
        word = state;
        suppressed +=
            ipidefer_suppresses(ipidefer_decide(vm.get(), 0, test::kVector));
        suppressed +=
            ipidefer_suppresses(ipidefer_decide(vm.get(), 1, test::kVector));
        suppressed +=
            ipidefer_suppresses(ipidefer_decide(vm.get(), 9, test::kVector));
    }
    ipidefer_counters_get(vm.get(), 0, test::kVector, &counters);
    ipidefer_fault_text(&fault, text, sizeof text);
    ipidefer_unbind(vm.get(), 0);
    const std::size_t after = allocations;

    EXPECT_EQ(error, IPIDEFER_OK);
    EXPECT_EQ(suppressed, 2u);
    EXPECT_EQ(after, before);
}

}  // namespace
}  // namespace ipidefer

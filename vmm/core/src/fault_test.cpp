// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/fault.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "vmm/core/src/binding.hpp"

namespace ipidefer {
namespace {

std::string text(const ipidefer_fault& fault)
{
    char buf[160];
    describe(fault, buf, sizeof buf);
    return buf;
}

TEST(Fault, BindingFaultNamesBindingValueAndLimit)
{
    EXPECT_EQ(text({IPIDEFER_E_VECTOR, 3, 0x1f, 0x20}),
              "binding 3: vector may not be bound (value 0x1f, limit 0x20)");
}

TEST(Fault, RegisterFaultNamesNoBinding)
{
    EXPECT_EQ(text({IPIDEFER_E_COUNT, 0, 9, 8}),
              "number of bindings out of range (value 0x9, limit 0x8)");
}

TEST(Fault, ReservedBitsOfTheRegistrationAreNoBindings)
{
    ipidefer_registration out{};
    ipidefer_fault fault{};
    (void)decode_register(0x1005, out, &fault);
    EXPECT_EQ(text(fault),
              "reserved bits of the registration are not zero (value 0x4, of "
              "0xe)");
}

TEST(Fault, EveryErrorHasItsOwnText)
{
    std::set<std::string> texts;
    for (int e = 0; e <= IPIDEFER_ERRORS; ++e)
        texts.insert(text({static_cast<ipidefer_error>(e), 0, 0, 0}));
    EXPECT_EQ(texts.size(), std::size_t{IPIDEFER_ERRORS} + 1);
}

TEST(Fault, TextIsCutToTheBuffer)
{
    char buf[8] = "1234567";
    describe({IPIDEFER_E_VECTOR, 3, 0x1f, 0x20}, buf, 4);
    EXPECT_STREQ(buf, "bin");
    EXPECT_EQ(buf[4], '5');
}

TEST(Fault, EmptyBufferIsLeftAlone)
{
    char buf[1] = {'x'};
    describe({IPIDEFER_E_VECTOR, 3, 0x1f, 0x20}, buf, 0);
    EXPECT_EQ(buf[0], 'x');
}

}  // namespace
}  // namespace ipidefer

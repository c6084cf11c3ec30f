// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/defer_object.hpp"

#include <gtest/gtest.h>

#include "base/failure_testing.hpp"

namespace ipidefer::domain {
namespace {

TEST(DeferObject, OtherObjectsAreNone)
{
    for (const char* other :
         {"", "can-bus,id=a", "ipi-deferred,id=a", "{", "{}", "[]",
          R"({"qom-type":"can-bus"})", "id=a,qom-type=can-bus"})
        EXPECT_FALSE(DeferObject::parse(other)) << other;
}

TEST(DeferObject, KeysAreReadAndCommasAreUndoubled)
{
    const auto object = DeferObject::parse(
        "ipi-defer,id=a,,b,isolated-cpus=2-3,isolated-cpus=5,enabled=off,user");
    ASSERT_TRUE(object);
    EXPECT_EQ(object->get("id"), "a,b");
    EXPECT_EQ(object->get("enabled"), "off");
    EXPECT_EQ(object->get("user"), "on");
    EXPECT_EQ(object->get("idle"), std::nullopt);
    EXPECT_EQ(object->isolated(), (CpuSet{2, 3, 5}));
}

TEST(DeferObject, JsonIsReadAndStaysJson)
{
    auto object = DeferObject::parse(
        R"( {"qom-type":"ipi-defer","id":"a","isolated-cpus":[2,3],"enabled":true})");
    ASSERT_TRUE(object);
    EXPECT_EQ(object->get("enabled"), "true");
    EXPECT_EQ(object->isolated(), (CpuSet{2, 3}));
    object->set("segment", "on");
    object->set_isolated({1});
    EXPECT_EQ(object->argument(),
              R"({"qom-type":"ipi-defer","id":"a","isolated-cpus":[1],)"
              R"("enabled":true,"segment":"on"})");
}

TEST(DeferObject, UnchangedIsWrittenAsItWas)
{
    for (const char* text :
         {"ipi-defer", "ipi-defer,id=a,,b,isolated-cpus=2-3,isolated-cpus=5",
          "id=x,qom-type=ipi-defer", "qom-type=ipi-defer,isolated-cpus.0=2",
          R"({"qom-type":"ipi-defer","isolated-cpus":[2],"idle":false})"})
        EXPECT_EQ(DeferObject::parse(text).value().argument(), text);
}

TEST(DeferObject, NewOneHasTheRangesEachAsAKey)
{
    auto object = DeferObject::create("defer0");
    object.set_isolated({2, 3, 5});
    object.set("segment", "a,b");
    EXPECT_EQ(object.argument(),
              "ipi-defer,id=defer0,isolated-cpus=2-3,isolated-cpus=5,"
              "segment=a,,b");
}

TEST(DeferObject, IsolatedIsReplacedWhereItWas)
{
    auto object =
        DeferObject::parse("ipi-defer,isolated-cpus.0=2,isolated-cpus.1=3,id=a")
            .value();
    EXPECT_EQ(object.isolated(), (CpuSet{2, 3}));
    object.set_isolated({4});
    EXPECT_EQ(object.argument(), "ipi-defer,isolated-cpus=4,id=a");
}

TEST(DeferObject, WrongListSaysSo)
{
    EXPECT_THROW(
        (void)DeferObject::parse("ipi-defer,isolated-cpus=x")->isolated(),
        Failure);
    EXPECT_TRUE(DeferObject::parse("ipi-defer")->isolated().empty());
}

TEST(DeferObject, JsonIsNestedAsDeepAsQemuTakesIt)
{
    const auto nested = [](unsigned depth) {
        return "{\"qom-type\":\"ipi-defer\",\"x\":" + std::string(depth, '[') +
               std::string(depth, ']') + '}';
    };
    const auto object = DeferObject::parse(nested(1'000));
    ASSERT_TRUE(object);
    EXPECT_NE(object->argument().find("[["), std::string::npos);
    EXPECT_EQ(refusal_of([&] { return DeferObject::parse(nested(100'000)); }),
              "-object: JSON: it is nested 100001 deep, the most is 1024");
}

}  // namespace
}  // namespace ipidefer::domain

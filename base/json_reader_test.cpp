// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json_reader.hpp"

#include <gtest/gtest.h>

#include <string>

#include "base/failure_testing.hpp"

namespace ipidefer {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string nested(std::size_t depth)
{
    return std::string(depth, '[') + std::string(depth, ']');
}

template <typename Json = json>
std::string json_refusal(const std::string& text, const JsonBounds& bounds = {})
{
    return refusal_of([&] { return read_json<Json>(text, bounds); });
}

TEST(JsonReader, ValueIsReadAsItIs)
{
    EXPECT_EQ(read_json(R"({"a": [1, "x", null, {"b": 1.5}]})"),
              (json{{"a", {1, "x", nullptr, {{"b", 1.5}}}}}));
    EXPECT_EQ(read_json<ordered_json>(R"({"b": 1, "a": {}})").dump(),
              R"({"b":1,"a":{}})");
}

TEST(JsonReader, DepthOfTheLimitIsReadAndOneMoreIsNamed)
{
    EXPECT_EQ(read_json(nested(64)).dump(), nested(64));
    EXPECT_EQ(json_refusal(nested(65)),
              "JSON: it is nested 65 deep, the most is 64");
    EXPECT_EQ(json_refusal<ordered_json>("{\"a\":" + nested(64) + '}'),
              "JSON: it is nested 65 deep, the most is 64");
}

TEST(JsonReader, ScalarsHaveNoDepth)
{
    const JsonBounds flat{.max_depth = 0};
    EXPECT_EQ(read_json("7", flat), json(7));
    EXPECT_EQ(json_refusal("[]", flat),
              "JSON: it is nested 1 deep, the most is 0");
}

TEST(JsonReader, DepthIsNamedHoweverDeep)
{
    EXPECT_EQ(json_refusal(nested(80'000)),
              "JSON: it is nested 80000 deep, the most is 64");
    // No end in sight.
    EXPECT_EQ(json_refusal(std::string(80'000, '[')),
              "JSON: it is nested 80000 deep, the most is 64");
    std::string objects;
    for (int i = 0; i < 80'000; ++i) objects += R"({"a":)";
    EXPECT_EQ(json_refusal(objects),
              "JSON: it is nested 80000 deep, the most is 64");
}

TEST(JsonReader, BracketsInStringsAndCommentsAreNoDepth)
{
    const JsonBounds bounds{.max_depth = 1, .comments = true};
    EXPECT_EQ(read_json("[\"[[[\" /* [[[ */]", bounds), json::array({"[[["}));
}

TEST(JsonReader, SizeOfTheLimitIsReadAndOneMoreIsNamed)
{
    const JsonBounds bounds{.max_bytes = 5};
    EXPECT_EQ(read_json("[1,2]", bounds), (json{1, 2}));
    EXPECT_EQ(json_refusal("[1,2] ", bounds),
              "JSON: it has 6 bytes, the most is 5");
}

TEST(JsonReader, WhatIsNoJsonSaysWhere)
{
    for (const char* text : {"", "{", "[1,]", "nul", "[1] 2", "\"\xff\"",
                             "// no comments\n1", "1e999"}) {
        EXPECT_THROW((void)read_json(text), NotJson) << text;
        EXPECT_TRUE(json_refusal(text).starts_with("not JSON: ")) << text;
    }
    EXPECT_EQ(json_refusal("{\n \"a\": x}"),
              "not JSON: parse error at line 2, column 7: syntax error while "
              "parsing value - invalid literal; last read: '\"a\": x'");
}

}  // namespace
}  // namespace ipidefer

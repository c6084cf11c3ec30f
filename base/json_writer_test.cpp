// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json_writer.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/failure_testing.hpp"
#include "base/file.hpp"
#include "base/scratch.hpp"

namespace ipidefer {
namespace {

using nlohmann::json;

TEST(JsonWriter, WhatIsNotUtf8IsReplaced)
{
    EXPECT_EQ(json_text(json{{"name", "web\xff"}}), "{\"name\":\"web\ufffd\"}");
}

TEST(JsonWriter, ReportReplacesTheFile)
{
    const Scratch scratch;
    const auto file = scratch.path() / "report.json";
    write_whole(file, "a longer text that was there before");
    write_report(file, json{{"status", 0}});
    EXPECT_EQ(read_whole(file), "{\n  \"status\": 0\n}\n");
}

TEST(JsonWriter, DashIsStandardOutput)
{
    testing::internal::CaptureStdout();
    write_report("-", json{{"status", 0}});
    EXPECT_EQ(testing::internal::GetCapturedStdout(),
              "{\n  \"status\": 0\n}\n");
}

TEST(JsonWriter, FileThatCannotBeWrittenIsNamed)
{
    EXPECT_EQ(refusal_of([] { write_report("/nonexistent/report", json{}); }),
              "--json: cannot write '/nonexistent/report': "
              "No such file or directory");
}

}  // namespace
}  // namespace ipidefer

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/output.hpp"

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

namespace ipidefer::trace {
namespace {

Event send_event()
{
    Event event;
    event.entry.kind = IPIDEFER_TRACE_SEND;
    event.entry.tsc = 77;
    event.entry.sender = 0;
    event.entry.cpu = IPIDEFER_NO_VCPU;
    event.entry.vector = 0xf5;
    event.entry.dest = 0x10;
    event.mask = {0xc};
    return event;
}

Event verdict_event(std::uint8_t verdict)
{
    Event event;
    event.entry.kind = IPIDEFER_TRACE_VERDICT;
    event.entry.sender = IPIDEFER_NO_VCPU;
    event.entry.cpu = 3;
    event.entry.vector = 0xf5;
    event.entry.verdict = verdict;
    event.entry.context = IPIDEFER_TRACE_KERNEL;
    event.entry.word = 0x21;
    event.mask = {0};
    return event;
}

constexpr Moment kAt{77, 1'234'567'891'234};

std::string written(Format format, const std::function<void(Output&)>& write)
{
    std::ostringstream out;
    write(*make_output(format, out, "vm"));
    return out.str();
}

TEST(TextOutput, LinesAreInTraceCmdsManner)
{
    EXPECT_EQ(written(Format::kText,
                      [](Output& out) {
                          out.event(send_event(), kAt);
                          out.lost(12);
                          out.event(verdict_event(IPIDEFER_DELIVERED_IN_KERNEL),
                                    kAt);
                          out.event(verdict_event(IPIDEFER_DEFERRED), kAt);
                      }),
              "          vCPU-0 [000]  1234.567891: ipi_send:     cpumask=2-3 "
              "vector=0xf5 delivery=fixed shorthand=none dest_mode=physical "
              "dest=0x10\n"
              "[LOST 12 EVENTS]\n"
              "           <...> [---]  1234.567891: ipi_verdict:  cpu=3 "
              "vector=0xf5 delivery=fixed verdict=delivered reason=in-kernel "
              "context=kernel word=0x21\n"
              "           <...> [---]  1234.567891: ipi_verdict:  cpu=3 "
              "vector=0xf5 delivery=fixed verdict=deferred context=kernel "
              "word=0x21\n");
}

TEST(TextOutput, GuestLinesAreMarkedAndHarmless)
{
    EXPECT_EQ(written(Format::kText,
                      [](Output& out) {
                          out.guest({5, 1, "sh-1", "x: \x1b[2J"}, kAt);
                      }),
              "      guest:sh-1 [001]  1234.567891: x: \\x1b[2J\n");
}

TEST(JsonOutput, EveryLineIsAnObject)
{
    std::istringstream lines{written(Format::kJson, [](Output& out) {
        out.event(send_event(), kAt);
        out.event(verdict_event(IPIDEFER_DELIVERED_IN_KERNEL), kAt);
        out.lost(12);
        out.guest({5, 1, "sh-1", "bad \xff"}, kAt);
    })};
    std::vector<nlohmann::json> objects;
    for (std::string line; std::getline(lines, line);)
        objects.push_back(nlohmann::json::parse(line));
    ASSERT_EQ(objects.size(), 4u);
    EXPECT_EQ(objects[0]["event"], "ipi_send");
    EXPECT_EQ(objects[0]["ts_ns"], kAt.ns);
    EXPECT_EQ(objects[0]["tsc"], 77);
    EXPECT_EQ(objects[0]["sender"], 0);
    EXPECT_EQ(objects[0]["cpumask"], "2-3");
    EXPECT_EQ(objects[0]["vector"], 0xf5);
    EXPECT_FALSE(objects[0].contains("cpu"));
    EXPECT_EQ(objects[1]["sender"], nullptr);
    EXPECT_EQ(objects[1]["cpu"], 3);
    EXPECT_EQ(objects[1]["verdict"], "delivered");
    EXPECT_EQ(objects[1]["reason"], "in-kernel");
    EXPECT_EQ(objects[1]["context"], "kernel");
    EXPECT_EQ(objects[2], (nlohmann::json{{"event", "lost"}, {"count", 12}}));
    EXPECT_EQ(objects[3]["event"], "guest");
    EXPECT_EQ(objects[3]["cpu"], 1);
}

}  // namespace
}  // namespace ipidefer::trace

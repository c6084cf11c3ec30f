// SPDX-License-Identifier: GPL-2.0-or-later
// Filters against an oracle: every comparison over small domains, and random
// expressions. The oracle works on sets and truth values, and says what the
// kernel's documentation says, in another way than filter.cpp.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "host/trace/filter.hpp"
#include "vmm/core/tests/seed.hpp"

namespace ipidefer::trace {
namespace {

constexpr std::uint32_t kVcpus = 4;
using Cpus = std::set<std::uint32_t>;

Cpus cpus_of_bits(unsigned bits)
{
    Cpus cpus;
    for (std::uint32_t cpu = 0; cpu < 64; ++cpu)
        if (cpu < 32 && (bits >> cpu & 1) != 0) cpus.insert(cpu);
    return cpus;
}

std::string list_of(const Cpus& cpus)
{
    std::string text = "CPUS{";
    for (const std::uint32_t cpu : cpus) {
        if (text.back() != '{') text += ',';
        text += std::to_string(cpu);
    }
    return text + '}';
}

Event make_send(std::uint32_t sender, unsigned mask)
{
    Event event;
    event.entry.kind = IPIDEFER_TRACE_SEND;
    event.entry.sender = sender;
    event.mask = {mask};
    return event;
}

Event make_verdict(std::uint32_t sender, std::uint32_t cpu, std::uint8_t vector,
                   std::uint8_t verdict)
{
    Event event;
    event.entry.kind = IPIDEFER_TRACE_VERDICT;
    event.entry.sender = sender;
    event.entry.cpu = cpu;
    event.entry.vector = vector;
    event.entry.verdict = verdict;
    event.mask = {0};
    return event;
}

// ---- The oracle ------------------------------------------------------------

bool mask_against_list(const std::string& op, const Cpus& mask,
                       const Cpus& list)
{
    if (op == "==") return mask == list;
    if (op == "!=") return mask != list;
    for (const std::uint32_t cpu : mask)
        if (list.contains(cpu)) return true;
    return false;
}

/// @param is_cpu_field the CPU that an event happens on, not just a number
bool number_against_list(const std::string& op, std::uint64_t number,
                         const Cpus& list, bool is_cpu_field)
{
    if (list.size() == 1) {
        const bool same = number == *list.begin();
        return op == "!=" ? !same : same;
    }
    if (!is_cpu_field && number >= kVcpus) return false;
    if (op == "==") return false;
    if (op == "!=") return true;
    return number < kVcpus && list.contains(static_cast<std::uint32_t>(number));
}

bool number_against_number(const std::string& op, std::uint64_t a,
                           std::uint64_t b)
{
    const std::uint64_t both = a & b;
    return (op == "==" && a == b) || (op == "!=" && a != b) ||
           (op == "<" && a < b) || (op == "<=" && a <= b) ||
           (op == ">" && a > b) || (op == ">=" && a >= b) ||
           (op == "&" && both != 0);
}

const std::vector<std::string> kListOps{"&", "==", "!="};
const std::vector<std::string> kNumberOps{
    "==", "!=", "<", "<=", ">", ">=", "&"};
const std::vector<std::uint32_t> kNumbers{0, 1, 2, 3, 4, 5, 63, 64, 0xffffffff};

void expect(const std::string& text, const Event& event, bool oracle)
{
    EXPECT_EQ(Filter(text, kVcpus).matches(event), oracle) << text;
}

TEST(FilterProperty, EveryComparisonIsWhatTheOracleSays)
{
    for (unsigned bits = 1; bits < 1u << kVcpus; ++bits) {
        const Cpus list = cpus_of_bits(bits);
        for (const std::string& op : kListOps) {
            const std::string value = ' ' + op + ' ' + list_of(list);
            for (unsigned mask = 0; mask < 1u << (kVcpus + 1); ++mask)
                expect("cpumask" + value, make_send(0, mask),
                       mask_against_list(op, cpus_of_bits(mask), list));
            for (const std::uint32_t number : kNumbers) {
                expect("cpu" + value, make_verdict(0, number, 0, 0),
                       number_against_list(op, number, list, false));
                expect("sender" + value, make_verdict(number, 0, 0, 0),
                       number_against_list(op, number, list, true));
                expect("CPU" + value, make_send(number, 0),
                       number_against_list(op, number, list, true));
            }
        }
    }
}

TEST(FilterProperty, EveryNumberIsComparedAsTheOracleSays)
{
    for (const std::uint32_t a : kNumbers)
        for (const std::uint32_t b : kNumbers)
            for (const std::string& op : kNumberOps) {
                expect("cpu " + op + ' ' + std::to_string(b),
                       make_verdict(0, a, 0, 0),
                       number_against_number(op, a, b));
                if (op == "&") continue;  // refused
                expect("sender" + op + std::to_string(b),
                       make_verdict(a, 0, 0, 0),
                       number_against_number(op, a, b));
            }
}

TEST(FilterProperty, MasksOfManyWordsAreComparedInAll)
{
    constexpr std::uint32_t kMany = 200;
    for (std::uint32_t one = 0; one < kMany; one += 7)
        for (std::uint32_t other = 0; other < kMany; other += 11) {
            Event event = make_send(0, 0);
            event.mask.assign(4, 0);
            event.mask[one / 64] |= std::uint64_t{1} << one % 64;
            event.mask[other / 64] |= std::uint64_t{1} << other % 64;
            const auto matches = [&event](const std::string& text) {
                return Filter(text, kMany).matches(event);
            };
            const std::string lone = list_of({one});
            const std::string pair = list_of({one, other});
            EXPECT_TRUE(matches("cpumask & " + lone));
            EXPECT_EQ(matches("cpumask == " + lone), one == other);
            EXPECT_EQ(matches("cpumask != " + lone), one != other);
            EXPECT_TRUE(matches("cpumask == " + pair));
            EXPECT_TRUE(matches("cpumask & " + pair));
            EXPECT_FALSE(matches("cpumask != " + pair));
            EXPECT_FALSE(
                matches("cpumask == " + list_of({one, other, kMany - 1})));
        }
}

// ---- Random expressions ----------------------------------------------------

/// Four truths that an event carries in the bits of its vector.
struct Expression {
    std::string text;
    std::function<bool(unsigned bits)> value;
};

class Random {
  public:
    unsigned below(unsigned limit)
    {
        return static_cast<unsigned>(engine_() % limit);
    }

    /// Text whose structure has to be found by precedence where no parentheses
    /// are; `value` knows it from how the text was made.
    Expression expression(int depth)
    {
        Expression any = conjunction(depth);
        for (unsigned i = below(3); i > 0; --i)
            any = join(any, conjunction(depth), "||",
                       [](bool a, bool b) { return a || b; });
        return any;
    }

  private:
    Expression conjunction(int depth)
    {
        Expression all = term(depth);
        for (unsigned i = below(3); i > 0; --i)
            all = join(all, term(depth), "&&",
                       [](bool a, bool b) { return a && b; });
        return all;
    }

    Expression join(const Expression& a, const Expression& b,
                    const std::string& op, bool (*both)(bool, bool))
    {
        return {a.text + blank() + op + blank() + b.text,
                [a, b, both](unsigned bits) {
                    return both(a.value(bits), b.value(bits));
                }};
    }

    Expression term(int depth)
    {
        Expression e =
            depth > 0 && below(2) == 0 ? parenthesis(depth - 1) : comparison();
        for (unsigned i = below(4) == 0 ? 1 + below(2) : 0; i > 0; --i)
            e = {"!" + blank() + e.text,
                 [e](unsigned bits) { return !e.value(bits); }};
        return e;
    }

    Expression parenthesis(int depth)
    {
        const Expression e = expression(depth);
        return {"(" + blank() + e.text + blank() + ")", e.value};
    }

    Expression comparison()
    {
        const unsigned bit = below(4);
        return {"vector" + blank() + "&" + blank() + std::to_string(1u << bit),
                [bit](unsigned bits) { return (bits >> bit & 1) != 0; }};
    }

    std::string blank() { return below(3) == 0 ? " " : ""; }

    std::mt19937_64 engine_{test::seed()};
};

TEST(FilterProperty, RandomExpressionsAreWhatTheyWereMadeAs)
{
    Random random;
    for (int i = 0; i < 3'000; ++i) {
        const Expression e = random.expression(3);
        const Filter filter{e.text, kVcpus};
        for (unsigned bits = 0; bits < 16; ++bits)
            ASSERT_EQ(filter.matches(make_verdict(
                          0, 0, static_cast<std::uint8_t>(bits), 0)),
                      e.value(bits))
                << e.text << " with " << bits;
    }
}

}  // namespace
}  // namespace ipidefer::trace

// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/compare/criterion.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>

#include "base/text.hpp"
#include "experiments/compare/criterion_node.hpp"

namespace ipidefer::compare {
namespace {

bool holds(double left, Operator op, double right)
{
    switch (op) {
        case Operator::kMore:
            return left > right;
        case Operator::kAtLeast:
            return left >= right;
        case Operator::kLess:
            return left < right;
        case Operator::kAtMost:
            return left <= right;
        case Operator::kEqual:
            return left == right;
        case Operator::kNotEqual:
            return left != right;
    }
    return false;
}

/// Nothing that changes is no change, not an unknown one; from nothing, each
/// change is infinite.
double percent_of(double part, double base)
{
    if (base != 0) return 100 * part / base;
    if (part == 0) return 0;
    return part < 0 ? -std::numeric_limits<double>::infinity()
                    : std::numeric_limits<double>::infinity();
}

std::string text_of(const Reference& reference)
{
    return reference.mode + '.' + printable(reference.row);
}

Outcome compared(const Criterion::Node& node, const Counts& counts)
{
    const double now = counts.now(node.reference);
    std::string because = text_of(node.reference) + " is " + number_text(now);
    if (node.aspect == Aspect::kNumber && !node.percent)
        return {holds(now, node.op, node.number), {std::move(because)}};

    const double base = counts.base(node.reference);
    because += ", was " + number_text(base);
    double value = now;
    if (node.aspect == Aspect::kDrop) value = base - now;
    if (node.aspect == Aspect::kRise) value = now - base;
    if (node.percent && node.aspect == Aspect::kNumber)
        // As much as nothing was is all of it.
        value = 100 + percent_of(now - base, base);
    else if (node.percent)
        value = percent_of(value, base);
    return {holds(value, node.op, node.number), {std::move(because)}};
}

Outcome judged(const Criterion::Node& node, const Counts& counts)
{
    using Kind = Criterion::Node::Kind;
    if (node.kind == Kind::kComparison) {
        Outcome outcome = compared(node, counts);
        outcome.met = outcome.met != node.negated;
        return outcome;
    }
    Outcome all{node.kind == Kind::kAnd, {}};
    for (const auto& part : node.parts) {
        Outcome outcome = judged(*part, counts);
        all.met = node.kind == Kind::kAnd ? all.met && outcome.met
                                          : all.met || outcome.met;
        std::ranges::move(outcome.because, std::back_inserter(all.because));
    }
    all.met = all.met != node.negated;
    return all;
}

}  // namespace

std::string CriterionError::show(std::string_view expression) const
{
    // Control characters are shown as several, and UTF-8 as one of several.
    const std::string before = printable(expression.substr(0, column_));
    const auto width = std::ranges::count_if(before, [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
    });
    return printable(expression) + '\n' +
           std::string(static_cast<std::size_t>(width), ' ') + "^\n";
}

Criterion::Criterion(std::string_view text) : text_{text}
{
    if (text.size() > kLongest)
        throw CriterionError{
            "an expression has at most " + std::to_string(kLongest) +
                " bytes, this one has " + std::to_string(text.size()),
            kLongest};
    root_ = parse_criterion(text_);
}

Criterion::~Criterion() = default;
Criterion::Criterion(Criterion&&) noexcept = default;
Criterion& Criterion::operator=(Criterion&&) noexcept = default;

Outcome Criterion::judge(const Counts& counts) const
{
    return judged(*root_, counts);
}

std::string number_text(double number)
{
    // As %.12g: more digits than counts have, fewer than halves of them need.
    constexpr int kDigits = 12;
    char text[32];
    const auto result = std::to_chars(text, text + sizeof text, number,
                                      std::chars_format::general, kDigits);
    return {text, result.ptr};
}

}  // namespace ipidefer::compare

// SPDX-License-Identifier: GPL-2.0-or-later
// The tree that a criterion's text is read into (criterion_parser.cpp), and
// that is judged (criterion.cpp).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "experiments/compare/criterion.hpp"

namespace ipidefer::compare {

enum class Operator { kMore, kAtLeast, kLess, kAtMost, kEqual, kNotEqual };

/// What of a row is compared.
enum class Aspect { kNumber, kDrop, kRise };

struct Criterion::Node {
    enum class Kind { kComparison, kAnd, kOr };

    Kind kind = Kind::kComparison;
    bool negated = false;
    std::vector<std::unique_ptr<Node>> parts;  // of kAnd and kOr

    Reference reference;
    Aspect aspect = Aspect::kNumber;
    Operator op = Operator::kMore;
    double number = 0;
    bool percent = false;
};

/// Throws CriterionError.
[[nodiscard]] std::unique_ptr<Criterion::Node> parse_criterion(
    std::string_view text);

}  // namespace ipidefer::compare

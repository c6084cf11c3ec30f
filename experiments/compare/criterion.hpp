// SPDX-License-Identifier: GPL-2.0-or-later
// Criterion: what a comparison of two reports fails on, as --fail-if has it.
//
//   expression := both { "or" both }
//   both       := term { "and" term }
//   term       := { "not" } ( "(" expression ")" | comparison )
//   comparison := mode "." row [ "?" ] [ change ] operator number [ "%" ]
//
//   change     := "drop" | "rise"
//
//   operator   := ">" | ">=" | "<" | "<=" | "==" | "!="
//
//   row        := letters, digits and _ | 'text' | "text"
//
//   number     := digits [ "." digits ]
//
// A number is compared with what the new report has. A drop is base - new, a
// rise is new - base; with a % they are parts of base, and without either word
// the new number is. Of a base of 0, 0 is 100 %, and any rise is infinite.
//
// All parts of an expression are always looked up, so that a misspelt row shows
// at once, and not when the first part lets it.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ipidefer::compare {

/// What is wrong with an expression, and in which byte of it.
class CriterionError : public std::runtime_error {
  public:
    CriterionError(const std::string& what, std::size_t column)
        : std::runtime_error{what}, column_{column}
    {
    }

    /// From 0 to the size of the expression.
    [[nodiscard]] std::size_t column() const noexcept { return column_; }
    /// The expression, and below it a caret, each a line.
    [[nodiscard]] std::string show(std::string_view expression) const;

  private:
    std::size_t column_;
};

/// MODE.ROW, and where that is in the expression.
struct Reference {
    std::string mode;
    std::string row;
    /// A row in quotes is that row, also where the word has a meaning.
    bool quoted = false;
    /// With a ?, it counts as 0 where no report has it.
    bool may_be_missing = false;
    std::size_t mode_column = 0;
    std::size_t row_column = 0;
};

/// What expressions are about. Both throw CriterionError at the reference's
/// columns for what there is not.
class Counts {
  public:
    virtual ~Counts() = default;
    [[nodiscard]] virtual double base(const Reference& of) const = 0;
    [[nodiscard]] virtual double now(const Reference& of) const = 0;
};

struct Outcome {
    bool met = false;
    /// Of each comparison, in their order: "off.CAL is 10, was 20".
    std::vector<std::string> because;
};

class Criterion final {
  public:
    /// The longest expression, in bytes.
    static constexpr std::size_t kLongest = 1000;

    /// Throws CriterionError.
    explicit Criterion(std::string_view text);
    ~Criterion();
    Criterion(Criterion&&) noexcept;
    Criterion& operator=(Criterion&&) noexcept;
    Criterion(const Criterion&) = delete;
    Criterion& operator=(const Criterion&) = delete;

    /// As it was written.
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    /// Throws CriterionError.
    [[nodiscard]] Outcome judge(const Counts& counts) const;

    struct Node;

  private:
    std::string text_;
    std::unique_ptr<Node> root_;
};

/// A count without needless digits: 20, 20.5.
[[nodiscard]] std::string number_text(double number);

}  // namespace ipidefer::compare

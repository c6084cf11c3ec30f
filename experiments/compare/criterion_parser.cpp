// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a criterion from left to right, and says at which column it is none.
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/option_value.hpp"
#include "base/text.hpp"
#include "experiments/compare/criterion_node.hpp"

namespace ipidefer::compare {
namespace {

using Node = Criterion::Node;

struct OperatorName {
    std::string_view text;
    Operator op;
};

/// Longer ones first.
constexpr std::array<OperatorName, 6> kOperators{{{">=", Operator::kAtLeast},
                                                  {"<=", Operator::kAtMost},
                                                  {"==", Operator::kEqual},
                                                  {"!=", Operator::kNotEqual},
                                                  {">", Operator::kMore},
                                                  {"<", Operator::kLess}}};
constexpr char kExpectedOperator[] = "expected one of > >= < <= == !=";

// Not <cctype>: what a locale takes for a letter is none here.
bool is_digit(char c) { return '0' <= c && c <= '9'; }
bool is_word(char c)
{
    return is_digit(c) || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') ||
           c == '_';
}

class Parser {
  public:
    explicit Parser(std::string_view text) : text_{text} {}

    std::unique_ptr<Node> parse()
    {
        blanks();
        if (at_end()) fail("the expression is empty");
        auto node = expression(0);
        if (!at_end())
            fail(text_[at_] == ')' ? "too many ')'"
                                   : "expected and, or, or the end");
        return node;
    }

  private:
    /// Deeper ones are nobody's intent, and would use up the stack.
    static constexpr int kDeepest = 100;

    [[noreturn]] void fail(const std::string& why) const { fail(why, at_); }
    [[noreturn]] static void fail(const std::string& why, std::size_t column)
    {
        throw CriterionError{why, column};
    }

    [[nodiscard]] bool at_end() const { return at_ == text_.size(); }

    void blanks()
    {
        while (!at_end() && kBlank.find(text_[at_]) != std::string_view::npos)
            ++at_;
    }

    bool accept(std::string_view token)
    {
        if (!text_.substr(at_).starts_with(token)) return false;
        at_ += token.size();
        blanks();
        return true;
    }

    [[nodiscard]] std::string_view word_here() const
    {
        std::size_t end = at_;
        while (end < text_.size() && is_word(text_[end])) ++end;
        return text_.substr(at_, end - at_);
    }

    bool accept_word(std::string_view word)
    {
        if (word_here() != word) return false;
        return accept(word);
    }

    std::unique_ptr<Node> expression(int depth)
    {
        return joined(Node::Kind::kOr, "or", depth);
    }

    std::unique_ptr<Node> joined(Node::Kind kind, std::string_view word,
                                 int depth)
    {
        std::vector<std::unique_ptr<Node>> parts;
        do {
            parts.push_back(kind == Node::Kind::kOr
                                ? joined(Node::Kind::kAnd, "and", depth)
                                : term(depth));
        } while (accept_word(word));
        if (parts.size() == 1) return std::move(parts.front());
        auto node = std::make_unique<Node>();
        node->kind = kind;
        node->parts = std::move(parts);
        return node;
    }

    std::unique_ptr<Node> term(int depth)
    {
        bool negated = false;
        while (accept_word("not")) negated = !negated;
        std::unique_ptr<Node> node;
        const std::size_t open = at_;
        if (accept("(")) {
            if (depth == kDeepest)
                fail("more than " + std::to_string(kDeepest) +
                         " parentheses in one another",
                     open);
            node = expression(depth + 1);
            if (at_end()) fail("its ')' is missing", open);
            if (!accept(")")) fail("expected and, or, or )");
        } else {
            node = comparison();
        }
        node->negated = node->negated != negated;
        return node;
    }

    std::unique_ptr<Node> comparison()
    {
        auto node = std::make_unique<Node>();
        node->reference = reference();
        if (accept_word("drop"))
            node->aspect = Aspect::kDrop;
        else if (accept_word("rise"))
            node->aspect = Aspect::kRise;
        node->op = operation();
        node->number = number();
        node->percent = accept("%");
        return node;
    }

    Reference reference()
    {
        Reference found;
        found.mode_column = at_;
        const std::string_view mode = word_here();
        if (mode.empty())
            fail(at_end() ? "a MODE.ROW is missing"
                          : "expected MODE.ROW, not, or (");
        found.mode = mode;
        at_ += mode.size();
        if (at_end() || text_[at_] != '.')
            fail("expected '.' and a row behind " + in_quotes(printable(mode)));
        ++at_;
        found.row_column = at_;
        if (const auto text = quoted_row()) {
            found.row = *text;
            found.quoted = true;
        } else {
            found.row = word_here();
            at_ += found.row.size();
            if (found.row.empty())
                fail(at_end() ? "a row is missing" : "expected a row");
        }
        if (!at_end() && text_[at_] == ':')
            fail("a row with other than letters, digits and _ needs quotes",
                 found.row_column);
        blanks();
        found.may_be_missing = accept("?");
        return found;
    }

    std::optional<std::string> quoted_row()
    {
        if (at_end() || (text_[at_] != '\'' && text_[at_] != '"'))
            return std::nullopt;
        const std::size_t open = at_;
        const std::size_t end = text_.find(text_[at_], at_ + 1);
        if (end == std::string_view::npos)
            fail("the closing quote is missing", open);
        if (end == open + 1) fail("a row has a name", open);
        at_ = end + 1;
        return std::string{text_.substr(open + 1, end - open - 1)};
    }

    Operator operation()
    {
        for (const auto& [text, op] : kOperators)
            if (accept(text)) return op;
        const std::string expected = kExpectedOperator;
        if (!at_end() && text_[at_] == '=') fail(expected + ", not =");
        if (!word_here().empty())
            fail(expected + ", or drop or rise, not " +
                 in_quotes(printable(word_here())));
        fail(expected);
    }

    double number()
    {
        const std::size_t begin = at_;
        if (at_end()) fail("a number is missing");
        if (text_[at_] == '-')
            fail("a number is not negative; what becomes less is a drop");
        std::size_t end = digits(at_);
        if (end == begin) fail("expected a number");
        if (end < text_.size() && text_[end] == '.') {
            const std::size_t fraction = end + 1;
            end = digits(fraction);
            if (end == fraction)
                fail("expected digits behind the point", fraction);
        }
        if (end < text_.size() && (is_word(text_[end]) || text_[end] == '.'))
            fail("this is no part of a number", end);
        double value = 0;
        const auto result =
            std::from_chars(text_.data() + begin, text_.data() + end, value);
        if (result.ec != std::errc{}) fail("the number is too large", begin);
        at_ = end;
        blanks();
        return value;
    }

    [[nodiscard]] std::size_t digits(std::size_t from) const
    {
        while (from < text_.size() && is_digit(text_[from])) ++from;
        return from;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Criterion::Node> parse_criterion(std::string_view text)
{
    return Parser{text}.parse();
}

}  // namespace ipidefer::compare

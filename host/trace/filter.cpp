// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/filter.hpp"

#include <array>
#include <cctype>
#include <charconv>
#include <variant>
#include <vector>

#include "base/cpulist.hpp"
#include "base/failure.hpp"
#include "host/trace/glob.hpp"

namespace ipidefer::trace {
namespace {

enum class Op { kEq, kNe, kLe, kLt, kGe, kGt, kAnd, kGlob };

struct OpName {
    std::string_view text;
    Op op;
};

/// Longer ones first.
constexpr std::array<OpName, 8> kOps{{{"==", Op::kEq},
                                      {"!=", Op::kNe},
                                      {"<=", Op::kLe},
                                      {"<", Op::kLt},
                                      {">=", Op::kGe},
                                      {">", Op::kGt},
                                      {"&", Op::kAnd},
                                      {"~", Op::kGlob}}};

/// A comparison, ready to be made. Lists of one CPU have types of their own:
/// they are the most frequent ones, and need no set.
struct ScalarTest {
    const Field* field;
    Op op;
    std::uint64_t value;
};
struct ScalarMaskTest {  // two CPUs or more
    const Field* field;
    Op op;
    std::vector<std::uint64_t> mask;
    std::uint32_t vcpus;
};
struct MaskTest {
    Op op;
    std::vector<std::uint64_t> mask;
};
struct MaskCpuTest {  // one CPU
    Op op;
    std::uint32_t cpu;
};
struct StringTest {
    const Field* field;
    Op op;
    std::string value;
};

using Test =
    std::variant<ScalarTest, ScalarMaskTest, MaskTest, MaskCpuTest, StringTest>;

bool run(const Event& event, const ScalarTest& test)
{
    const std::uint64_t number = test.field->number(event);
    switch (test.op) {
        case Op::kEq:
            return number == test.value;
        case Op::kNe:
            return number != test.value;
        case Op::kLe:
            return number <= test.value;
        case Op::kLt:
            return number < test.value;
        case Op::kGe:
            return number >= test.value;
        case Op::kGt:
            return number > test.value;
        case Op::kAnd:
            return (number & test.value) != 0;
        case Op::kGlob:
            break;
    }
    return false;
}

bool run(const Event& event, const ScalarMaskTest& test)
{
    const std::uint64_t number = test.field->number(event);
    // As in the kernel: a number that is no CPU matches nothing, not even !=.
    // The CPU that an event happens on always is one there.
    if (test.field->type == FieldType::kScalar && number >= test.vcpus)
        return false;
    if (test.op == Op::kNe) return true;
    return test.op == Op::kAnd && mask_has(test.mask, number);
}

bool run(const Event& event, const MaskTest& test)
{
    bool equal = true;
    bool intersects = false;
    const std::size_t words = std::max(event.mask.size(), test.mask.size());
    for (std::size_t i = 0; i < words; ++i) {
        const std::uint64_t a = i < event.mask.size() ? event.mask[i] : 0;
        const std::uint64_t b = i < test.mask.size() ? test.mask[i] : 0;
        equal = equal && a == b;
        intersects = intersects || (a & b) != 0;
    }
    if (test.op == Op::kEq) return equal;
    if (test.op == Op::kNe) return !equal;
    return intersects;
}

bool run(const Event& event, const MaskCpuTest& test)
{
    const bool has = mask_has(event.mask, test.cpu);
    if (test.op == Op::kAnd) return has;
    bool only = has;
    for (std::size_t i = 0; i < event.mask.size(); ++i) {
        const std::uint64_t own =
            i == test.cpu / 64 ? std::uint64_t{1} << test.cpu % 64 : 0;
        only = only && (event.mask[i] & ~own) == 0;
    }
    return only == (test.op == Op::kEq);
}

bool run(const Event& event, const StringTest& test)
{
    const std::string_view text = test.field->text(event);
    if (test.op == Op::kGlob) return glob_matches(test.value, text);
    return (text == test.value) == (test.op == Op::kEq);
}

bool is_word(char c)
{
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

}  // namespace

/// A comparison, or what joins others; "not" goes with each.
struct Filter::Node {
    enum class Kind { kTest, kAnd, kOr };
    Kind kind;
    bool negated = false;
    Test test;
    std::vector<std::unique_ptr<Node>> parts;

    [[nodiscard]] bool matches(const Event& event) const
    {
        return holds(event) != negated;
    }

  private:
    [[nodiscard]] bool holds(const Event& event) const
    {
        switch (kind) {
            case Kind::kTest:
                return std::visit(
                    [&event](const auto& t) { return run(event, t); }, test);
            case Kind::kAnd:
                for (const auto& part : parts)
                    if (!part->matches(event)) return false;
                return true;
            case Kind::kOr:
                for (const auto& part : parts)
                    if (part->matches(event)) return true;
                return false;
        }
        return false;
    }
};

namespace {

using Node = Filter::Node;

/// Reads a filter from left to right.
class Parser {
  public:
    Parser(std::string_view text, std::uint32_t vcpus)
        : text_{text}, vcpus_{vcpus}
    {
    }

    std::unique_ptr<Node> parse()
    {
        auto node = expression(0);
        if (at_ != text_.size())
            fail(text_[at_] == ')' ? "too many ')'"
                                   : "expected &&, || or the end");
        return node;
    }

    [[nodiscard]] std::uint32_t kinds() const { return kinds_; }

  private:
    /// Deeper ones are nobody's intent, and would use up the stack.
    static constexpr int kDeepest = 100;

    [[noreturn]] void fail(const std::string& why) const { fail(why, at_); }
    [[noreturn]] static void fail(const std::string& why, std::size_t column)
    {
        throw FilterError{why, column};
    }

    void blanks()
    {
        while (at_ < text_.size() &&
               std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
            ++at_;
    }

    [[nodiscard]] bool sees(std::string_view token) const
    {
        return text_.substr(at_).starts_with(token);
    }

    bool accept(std::string_view token)
    {
        blanks();
        if (!sees(token)) return false;
        at_ += token.size();
        return true;
    }

    std::unique_ptr<Node> joined(Node::Kind kind, std::string_view token,
                                 int depth)
    {
        std::vector<std::unique_ptr<Node>> parts;
        do {
            parts.push_back(kind == Node::Kind::kOr
                                ? joined(Node::Kind::kAnd, "&&", depth)
                                : term(depth));
        } while (accept(token));
        if (parts.size() == 1) return std::move(parts.front());
        auto node = std::make_unique<Node>();
        node->kind = kind;
        node->parts = std::move(parts);
        return node;
    }

    std::unique_ptr<Node> expression(int depth)
    {
        auto node = joined(Node::Kind::kOr, "||", depth);
        blanks();
        return node;
    }

    std::unique_ptr<Node> term(int depth)
    {
        bool negated = false;
        blanks();
        while (sees("!") && !sees("!=") && !sees("!~")) {
            ++at_;
            negated = !negated;
            blanks();
        }
        std::unique_ptr<Node> node;
        const std::size_t open = at_;
        if (accept("(")) {
            if (depth == kDeepest) fail("too many '('", open);
            node = expression(depth + 1);
            if (!accept(")")) {
                if (at_ == text_.size()) fail("')' is missing", open);
                fail("expected &&, || or )");
            }
        } else {
            node = std::make_unique<Node>();
            node->kind = Node::Kind::kTest;
            node->test = comparison();
        }
        node->negated = node->negated != negated;
        return node;
    }

    std::string_view word()
    {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_word(text_[at_])) ++at_;
        return text_.substr(begin, at_ - begin);
    }

    Test comparison()
    {
        const std::size_t begin = at_;
        const std::string_view name = word();
        if (name.empty())
            fail(at_ == text_.size() ? "a field is missing"
                                     : "expected a field");
        const Field* field = find_field(name);
        if (field == nullptr)
            fail("there is no field '" + std::string{name} + "'", begin);
        kinds_ &= field->kinds;
        const Op op = operation();
        blanks();
        if (at_ == text_.size()) fail("a value is missing");
        if (sees("CPUS")) return cpus(*field, op);
        switch (field->type) {
            case FieldType::kCpu:
                // Which the kernel takes, and never finds true.
                if (op == Op::kAnd)
                    fail("& with a CPU takes CPUS{...}, not a number");
                [[fallthrough]];
            case FieldType::kScalar:
                return ScalarTest{field, checked(op, op != Op::kGlob),
                                  number()};
            case FieldType::kCpumask:
                fail("a cpumask is compared with CPUS{...}");
            case FieldType::kString:
                break;
        }
        return StringTest{
            field,
            checked(op, op == Op::kEq || op == Op::kNe || op == Op::kGlob),
            string()};
    }

    Op operation()
    {
        blanks();
        op_at_ = at_;
        // "&&" is no "&".
        if (!sees("&&"))
            for (const auto& [text, op] : kOps)
                if (accept(text)) return op;
        fail("expected one of == != < <= > >= & ~");
    }

    Op checked(Op op, bool allowed) const
    {
        if (!allowed) fail("this field has no such operator", op_at_);
        return op;
    }

    std::uint64_t number()
    {
        const std::size_t begin = at_;
        const bool negative = accept("-");
        std::string_view digits = word();
        int base = 10;
        if (digits.starts_with("0x") || digits.starts_with("0X")) {
            base = 16;
            digits.remove_prefix(2);
        } else if (digits.size() > 1 && digits.starts_with("0")) {
            base = 8;
        }
        std::uint64_t value = 0;
        const char* end = digits.data() + digits.size();
        const auto result = std::from_chars(digits.data(), end, value, base);
        // No field is signed; the kernel refuses signs for those.
        if (negative) fail("expected a number that is not negative", begin);
        if (result.ec == std::errc::result_out_of_range)
            fail("the number is larger than " + std::to_string(UINT64_MAX),
                 begin);
        if (digits.empty() || result.ec != std::errc{} || result.ptr != end)
            fail("expected a number", begin);
        return value;
    }

    std::string string()
    {
        const std::size_t begin = at_;
        const char quote = text_[at_];
        if (quote == '"' || quote == '\'') {
            const std::size_t end = text_.find(quote, at_ + 1);
            if (end == std::string_view::npos)
                fail("the closing quote is missing", begin);
            at_ = end + 1;
            return std::string{text_.substr(begin + 1, end - begin - 1)};
        }
        const auto part_of = [](char c) {
            return is_word(c) || c == '-' || c == '*' || c == '?' || c == '[' ||
                   c == ']';
        };
        while (at_ < text_.size() && part_of(text_[at_])) ++at_;
        if (at_ == begin) fail("expected a word or a quoted string");
        return std::string{text_.substr(begin, at_ - begin)};
    }

    Test cpus(const Field& field, Op op)
    {
        if (field.type == FieldType::kString)
            fail("a string has no CPUs to compare");
        checked(op, op == Op::kEq || op == Op::kNe || op == Op::kAnd);
        at_ += std::string_view{"CPUS"}.size();
        if (!sees("{")) fail("expected '{' after CPUS");
        ++at_;
        const std::size_t begin = at_;
        const std::size_t end = text_.find('}', at_);
        if (end == std::string_view::npos) fail("'}' is missing", begin - 1);
        // The kernel takes a list of none, but not a list that is not there.
        if (end == begin) fail("a list of CPUs is missing", begin);
        const CpuSet set = list(text_.substr(begin, end - begin), begin);
        at_ = end + 1;
        if (set.size() == 1) return single(field, op, *set.begin());
        std::vector<std::uint64_t> mask((vcpus_ + 63) / 64);
        for (const unsigned cpu : set)
            mask[cpu / 64] |= std::uint64_t{1} << cpu % 64;
        if (field.type == FieldType::kCpumask)
            return MaskTest{op, std::move(mask)};
        return ScalarMaskTest{&field, op, std::move(mask), vcpus_};
    }

    Test single(const Field& field, Op op, unsigned cpu) const
    {
        if (field.type == FieldType::kCpumask) return MaskCpuTest{op, cpu};
        return ScalarTest{&field, op == Op::kAnd ? Op::kEq : op, cpu};
    }

    CpuSet list(std::string_view text, std::size_t column) const
    {
        try {
            return parse_kernel_cpulist(text, vcpus_);
        } catch (const Failure& failure) {
            fail(failure.what(), column);
        }
    }

    std::string_view text_;
    std::uint32_t vcpus_;
    std::size_t at_ = 0;
    std::size_t op_at_ = 0;
    std::uint32_t kinds_ = IPIDEFER_TRACE_ALL;
};

}  // namespace

std::string FilterError::show(std::string_view filter) const
{
    return std::string{filter} + '\n' + std::string(column_, ' ') + '^';
}

Filter::Filter(std::string_view text, std::uint32_t vcpus)
{
    if (text.size() > kLongest)
        throw FilterError{"a filter has at most " + std::to_string(kLongest) +
                              " bytes, this one has " +
                              std::to_string(text.size()),
                          kLongest};
    Parser parser{text, vcpus};
    root_ = parser.parse();
    kinds_ = parser.kinds();
}

Filter::~Filter() = default;
Filter::Filter(Filter&&) noexcept = default;
Filter& Filter::operator=(Filter&&) noexcept = default;

bool Filter::matches(const Event& event) const { return root_->matches(event); }

}  // namespace ipidefer::trace

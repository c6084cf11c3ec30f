// SPDX-License-Identifier: GPL-2.0-or-later
#include "cpulist.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "failure.hpp"

namespace ipidefer {
namespace {

/// Reads one list from left to right.
class Reader {
  public:
    Reader(std::string_view text, unsigned limit) : text_{text}, limit_{limit}
    {
    }

    CpuSet read()
    {
        CpuSet cpus;
        do {
            const bool exclude = accept('^');
            for (const unsigned cpu : element())
                if (exclude)
                    cpus.erase(cpu);
                else
                    cpus.insert(cpu);
        } while (accept(','));
        if (at_ != text_.size()) fail("unexpected '" + rest() + "'");
        if (cpus.empty()) fail("it leaves no CPU");
        return cpus;
    }

  private:
    [[noreturn]] void fail(const std::string& why) const
    {
        throw Failure{Exit::kCannotRun,
                      "CPU list '" + std::string{text_} + "': " + why};
    }

    [[nodiscard]] std::string rest() const
    {
        return std::string{text_.substr(at_)};
    }

    bool accept(char c)
    {
        if (at_ == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }

    unsigned number()
    {
        unsigned value = 0;
        const char* begin = text_.data() + at_;
        const auto [end, error] =
            std::from_chars(begin, text_.data() + text_.size(), value);
        if (error == std::errc::result_out_of_range)
            fail("a number is too large at '" + rest() + "'");
        if (error != std::errc{})
            fail(rest().empty() ? "a number is missing at the end"
                                : "no number at '" + rest() + "'");
        at_ += static_cast<std::size_t>(end - begin);
        return value;
    }

    unsigned cpu()
    {
        const unsigned value = number();
        if (value >= limit_)
            fail("no CPU " + std::to_string(value) + ", the last one is " +
                 std::to_string(limit_ - 1));
        return value;
    }

    CpuSet element()
    {
        const unsigned first = cpu();
        if (!accept('-')) return {first};
        const unsigned last = cpu();
        if (last < first)
            fail("the range " + std::to_string(first) + "-" +
                 std::to_string(last) + " runs backwards");
        unsigned used = 1;
        unsigned group = 1;
        if (accept(':')) {
            used = number();
            if (!accept('/')) fail("a stride is USED/GROUP, as in 0-7:1/2");
            group = number();
            if (used == 0 || used > group)
                fail("a stride uses 1 to " + std::to_string(group) +
                     " CPUs of each group, not " + std::to_string(used));
        }
        CpuSet cpus;
        for (unsigned i = first; i <= last; ++i)
            if ((i - first) % group < used) cpus.insert(cpus.end(), i);
        return cpus;
    }

    std::string_view text_;
    unsigned limit_;
    std::size_t at_ = 0;
};

}  // namespace

CpuSet parse_cpulist(std::string_view text, unsigned limit)
{
    return Reader{text, limit}.read();
}

std::string format_cpulist(const CpuSet& cpus)
{
    std::string text;
    for (auto it = cpus.begin(); it != cpus.end();) {
        const unsigned first = *it;
        unsigned last = first;
        while (++it != cpus.end() && *it == last + 1) last = *it;
        if (!text.empty()) text += ',';
        text += std::to_string(first);
        if (last != first) text += '-' + std::to_string(last);
    }
    return text;
}

CpuSet both(const CpuSet& a, const CpuSet& b)
{
    CpuSet common;
    std::ranges::set_intersection(a, b, std::inserter(common, common.end()));
    return common;
}

CpuSet without(const CpuSet& a, const CpuSet& b)
{
    CpuSet rest;
    std::ranges::set_difference(a, b, std::inserter(rest, rest.end()));
    return rest;
}

CpuSet complement(const CpuSet& cpus, unsigned count)
{
    CpuSet others;
    for (unsigned i = 0; i < count; ++i)
        if (!cpus.contains(i)) others.insert(others.end(), i);
    return others;
}

}  // namespace ipidefer

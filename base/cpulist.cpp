// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/cpulist.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <vector>

#include "base/failure.hpp"

namespace ipidefer {
namespace {

/// As isspace() in the C locale, in Linux and in libvirt.
constexpr std::string_view kSpaces = " \t\n\v\f\r";

/// Reads one list from left to right. Bounded by the text's length times the
/// highest CPU that it names, as domains have thousands of short ones.
class Reader {
  public:
    Reader(std::string_view text, unsigned limit) : text_{text}, limit_{limit}
    {
    }

    CpuSet read_option()
    {
        do {
            const bool exclude = accept('^');
            option_element(!exclude);
        } while (accept(','));
        if (!at_end()) fail("unexpected '" + rest() + "'");
        return some();
    }

    CpuSet read_kernel()
    {
        for (;;) {
            while (accept(',') || accept_blank()) {
            }
            if (at_end()) return result();
            kernel_element();
            if (!at_end() && text_[at_] != ',' && !is_blank(text_[at_]))
                fail("unexpected '" + rest() + "'");
        }
    }

    CpuSet read_libvirt()
    {
        skip_blanks();
        do {
            const bool exclude = accept('^');
            const unsigned first = cpu();
            skip_blanks();
            if (!exclude && accept('-')) {
                skip_blanks();
                set(first, last_of(first), true);
                skip_blanks();
            } else {
                set(first, first, !exclude);
            }
            if (at_end()) return some();
            if (!accept(',')) fail("unexpected '" + rest() + "'");
            skip_blanks();
        } while (!at_end());
        return some();
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
    [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
    static bool is_blank(char c)
    {
        return kSpaces.find(c) != std::string_view::npos;
    }

    bool accept(char c)
    {
        if (at_end() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool accept_blank()
    {
        if (at_end() || !is_blank(text_[at_])) return false;
        ++at_;
        return true;
    }
    void skip_blanks()
    {
        while (accept_blank()) {
        }
    }
    /// "all", in any case.
    bool accept_all()
    {
        constexpr std::string_view kAll = "all";
        if (text_.size() - at_ < kAll.size()) return false;
        for (std::size_t i = 0; i < kAll.size(); ++i)
            if ((text_[at_ + i] | 0x20) != kAll[i]) return false;
        at_ += kAll.size();
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
    unsigned kernel_number() { return accept('N') ? limit_ - 1 : number(); }

    [[nodiscard]] unsigned checked(unsigned value) const
    {
        if (value >= limit_)
            fail("no CPU " + std::to_string(value) + ", the last one is " +
                 std::to_string(limit_ - 1));
        return value;
    }
    unsigned cpu() { return checked(number()); }

    void check_range(unsigned first, unsigned last) const
    {
        if (last < first)
            fail("the range " + std::to_string(first) + "-" +
                 std::to_string(last) + " runs backwards");
    }
    unsigned last_of(unsigned first)
    {
        const unsigned last = cpu();
        check_range(first, last);
        return last;
    }

    void set(unsigned first, unsigned last, bool value, unsigned used = 1,
             unsigned group = 1)
    {
        if (cpus_.size() <= last) cpus_.resize(last + std::size_t{1});
        for (unsigned i = first; i <= last; ++i)
            if ((i - first) % group < used) cpus_[i] = value;
    }

    void option_element(bool value)
    {
        const unsigned first = cpu();
        if (!accept('-')) return set(first, first, value);
        const unsigned last = last_of(first);
        if (!accept(':')) return set(first, last, value);
        const unsigned used = number();
        if (!accept('/')) fail("a stride is USED/GROUP, as in 0-7:1/2");
        const unsigned group = number();
        if (used == 0 || used > group)
            fail("a stride uses 1 to " + std::to_string(group) +
                 " CPUs of each group, not " + std::to_string(used));
        set(first, last, value, used, group);
    }

    void kernel_element()
    {
        unsigned first = 0;
        unsigned last = limit_ - 1;
        if (!accept_all()) {
            first = checked(kernel_number());
            if (!accept('-')) return set(first, first, true);
            last = checked(kernel_number());
            check_range(first, last);
        }
        if (!accept(':')) return set(first, last, true);
        const unsigned used = kernel_number();
        if (!accept('/')) fail("a stride is USED/GROUP, as in 0-7:1/2");
        const unsigned group = kernel_number();
        if (group == 0 || used > group)
            fail("a stride uses at most all of a group, not " +
                 std::to_string(used) + " of " + std::to_string(group));
        set(first, last, true, used, group);
    }

    [[nodiscard]] CpuSet result() const
    {
        CpuSet all;
        for (unsigned i = 0; i < cpus_.size(); ++i)
            if (cpus_[i]) all.insert(all.end(), i);
        return all;
    }
    [[nodiscard]] CpuSet some() const
    {
        CpuSet all = result();
        if (all.empty()) fail("it leaves no CPU");
        return all;
    }

    std::string_view text_;
    unsigned limit_;
    std::vector<bool> cpus_;  // up to the highest that was named
    std::size_t at_ = 0;
};

}  // namespace

CpuSet parse_cpulist(std::string_view text, unsigned limit)
{
    return Reader{text, limit}.read_option();
}

CpuSet parse_kernel_cpulist(std::string_view text, unsigned count)
{
    return Reader{text, count}.read_kernel();
}

CpuSet parse_libvirt_cpuset(std::string_view text)
{
    return Reader{text, kMostLibvirtCpus}.read_libvirt();
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

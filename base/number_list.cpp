// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/number_list.hpp"

#include <sched.h>

#include <charconv>
#include <set>
#include <string>

#include "base/failure.hpp"
#include "base/option_value.hpp"

namespace ipidefer {
namespace {

class NumberListReader {
  public:
    NumberListReader(std::string_view option, std::string_view text,
                     unsigned least, unsigned most)
        : option_{option}, text_{text}, least_{least}, most_{most}
    {
    }

    std::vector<unsigned> read()
    {
        std::vector<unsigned> numbers;
        if (text_.empty()) return numbers;
        do {
            const unsigned first = number();
            const unsigned last = accept('-') ? number() : first;
            if (last < first)
                fail("the range " + std::to_string(first) + "-" +
                     std::to_string(last) + " runs backwards");
            for (unsigned n = first;; ++n) {
                numbers.push_back(n);
                if (n == last) break;
            }
        } while (accept(','));
        if (at_ != text_.size())
            fail("unexpected '" + std::string{text_.substr(at_)} + "'");
        return numbers;
    }

  private:
    [[noreturn]] void fail(const std::string& why) const
    {
        throw Failure{Exit::kCannotRun, std::string{option_} + " '" +
                                            std::string{text_} + "': " + why};
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
        const auto [end, error] = std::from_chars(
            text_.data() + at_, text_.data() + text_.size(), value);
        const std::string rest{text_.substr(at_)};
        if (error == std::errc::invalid_argument)
            fail(rest.empty() ? "a number is missing at the end"
                              : "no number at '" + rest + "'");
        if (error != std::errc{} || value < least_ || value > most_)
            fail("'" + rest + "' is not within " + std::to_string(least_) +
                 " and " + std::to_string(most_));
        at_ = static_cast<std::size_t>(end - text_.data());
        return value;
    }

    std::string_view option_;
    std::string_view text_;
    unsigned least_;
    unsigned most_;
    std::size_t at_ = 0;
};

}  // namespace

std::vector<unsigned> parse_number_list(std::string_view option,
                                        std::string_view text, unsigned least,
                                        unsigned most)
{
    return NumberListReader{option, text, least, most}.read();
}

std::vector<unsigned> parse_host_cpus(const std::string& option,
                                      const std::string& text,
                                      std::size_t count,
                                      const std::string& whose, Sharing sharing)
{
    auto cpus = parse_number_list(option, text, 0, CPU_SETSIZE - 1);
    if (!cpus.empty() && cpus.size() != count)
        refuse_option(option, in_quotes(text) + " names " +
                                  std::to_string(cpus.size()) +
                                  " host CPUs for " + std::to_string(count) +
                                  ' ' + whose);
    if (sharing == Sharing::kAllowed) return cpus;
    std::set<unsigned> seen;
    for (const unsigned cpu : cpus)
        if (!seen.insert(cpu).second)
            refuse_option(option, in_quotes(text) + " names host CPU " +
                                      std::to_string(cpu) + " twice: each of " +
                                      std::to_string(count) + ' ' + whose +
                                      " needs one of its own");
    return cpus;
}

}  // namespace ipidefer

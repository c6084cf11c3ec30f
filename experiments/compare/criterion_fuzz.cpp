// SPDX-License-Identifier: GPL-2.0-or-later
// A criterion of any text: it is one, or is refused at a column that it has;
// and "not" of it is met when it is not.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "experiments/compare/criterion.hpp"

namespace {

class Some : public ipidefer::compare::Counts {
  public:
    double base(const ipidefer::compare::Reference& of) const override
    {
        return of.row == "CAL" ? 20 : 0;
    }
    double now(const ipidefer::compare::Reference& of) const override
    {
        if (of.mode == "x")
            throw ipidefer::compare::CriterionError{"", of.mode_column};
        return of.mode == "off" ? 15 : 0;
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    using namespace ipidefer::compare;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    try {
        const Criterion criterion{text};
        const Outcome outcome = criterion.judge(Some{});
        if (outcome.because.empty()) std::abort();
        const Criterion other{"not (" + std::string{text} + ')'};
        if (other.judge(Some{}).met == outcome.met) std::abort();
    } catch (const CriterionError& error) {
        if (error.column() > size + 5) std::abort();
        (void)error.show(text);
    }
    return 0;
}

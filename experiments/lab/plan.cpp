// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/plan.hpp"

#include "experiments/statistics/random.hpp"

namespace ipidefer::lab {
namespace {

std::string with_letter(const Arm& arm, char separator)
{
    std::string text{name(arm.mode)};
    if (arm.letter != '\0') {
        text += separator;
        text += arm.letter;
    }
    return text;
}

}  // namespace

std::string name(const Arm& arm) { return with_letter(arm, '/'); }

std::string file_name(const Arm& arm) { return with_letter(arm, '-'); }

std::vector<Arm> arms_of(const std::vector<Mode>& modes, unsigned repetitions)
{
    std::vector<Arm> arms;
    for (const Mode mode : modes)
        if (mode == Mode::kOff && repetitions > 1)
            arms.insert(arms.end(), {{mode, 'A'}, {mode, 'B'}});
        else
            arms.push_back({mode});
    return arms;
}

std::vector<std::vector<PlannedBoot>> plan(const std::vector<Mode>& modes,
                                           unsigned repetitions,
                                           std::uint64_t seed,
                                           std::size_t points)
{
    std::vector<PlannedBoot> boots;
    for (std::size_t point = 0; point < points; ++point)
        for (const Arm& arm : arms_of(modes, repetitions))
            boots.push_back({point, arm});
    std::vector<std::vector<PlannedBoot>> order(repetitions, boots);
    if (repetitions == 1) return order;
    statistics::Random random{seed};
    for (auto& repetition : order) random.shuffle(repetition);
    return order;
}

}  // namespace ipidefer::lab

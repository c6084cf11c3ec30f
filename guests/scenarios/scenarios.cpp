// SPDX-License-Identifier: GPL-2.0-or-later
#include "guests/scenarios/scenarios.hpp"

namespace guest {

Scenario scenario_of_command_line()
{
    struct Named {
        const char* name;
        Scenario scenario;
    };
    static constexpr Named kScenarios[] = {
        {"apic", apic_basics},
        {"icr-storm", icr_storm},
        {"bad-registrations", bad_registrations},
        {"registration-storm", registration_storm},
        {"rewrite-storm", rewrite_storm},
        {"storm", storm},
        {"once", once},
        {"nmi", nmis},
        {"init", init_ends_registration},
        {"bench", bench},
        {"spin", spin},
        {"exits", exits},
    };
    for (const Named& each : kScenarios)
        if (option_is("scenario", each.name)) return each.scenario;
    return nullptr;
}

}  // namespace guest

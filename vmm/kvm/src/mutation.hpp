// SPDX-License-Identifier: GPL-2.0-or-later
// Deliberate bugs, for the tests that must see them. They exist only in the
// build `ipidefer-vmm-mutant`; in the product mutated() is a constant.
#pragma once

#include <string_view>

namespace ipidefer::vmm {

enum class Mutation {
    kNone,
    kDrop,              // I1: neither record nor deliver a typed IPI
    kBoth,              // I1: record it, and deliver it too
    kDeferNmi,          // I3: an NMI is taken for a typed IPI
    kKeepRegistration,  // INIT does not end a registration
    kAnyWord,           // I7: a word that is not writable RAM is accepted
    kNoGuard,           // I7: nobody handles a truncated segment
};

#ifdef IPIDEFER_VMM_MUTATIONS
inline Mutation g_mutation = Mutation::kNone;
[[nodiscard]] inline bool mutated(Mutation mutation) noexcept
{
    return g_mutation == mutation;
}
/// False: there is none of this name.
inline bool set_mutation(std::string_view name) noexcept
{
    struct Named {
        std::string_view name;
        Mutation mutation;
    };
    for (const Named& each :
         {Named{"none", Mutation::kNone}, Named{"drop", Mutation::kDrop},
          Named{"both", Mutation::kBoth},
          Named{"defer-nmi", Mutation::kDeferNmi},
          Named{"keep-registration", Mutation::kKeepRegistration},
          Named{"any-word", Mutation::kAnyWord},
          Named{"no-guard", Mutation::kNoGuard}})
        if (each.name == name) {
            g_mutation = each.mutation;
            return true;
        }
    return false;
}
#else
[[nodiscard]] constexpr bool mutated(Mutation) noexcept { return false; }
#endif

}  // namespace ipidefer::vmm

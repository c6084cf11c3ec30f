// SPDX-License-Identifier: GPL-2.0-or-later
// Fitness: whether IPI deferral can work in a domain at all, whatever its
// settings are changed to.
#pragma once

#include <string>
#include <vector>

#include "host/domain/domain.hpp"

namespace ipidefer::domain {

/// Why it cannot, one reason each; none for a domain that is fit.
[[nodiscard]] std::vector<std::string> unfitness(const Domain& domain);

}  // namespace ipidefer::domain

// SPDX-License-Identifier: GPL-2.0-or-later
// Timeline: what time it was, by the host's CLOCK_MONOTONIC, when the TSC had a
// value. Clocks drift against each other, so a long trace takes many samples of
// both; between two samples time runs evenly.
#pragma once

#include <cstdint>
#include <vector>

#include "host/segment/segment.hpp"

namespace ipidefer::trace {

class Timeline final {
  public:
    explicit Timeline(const segment::Clock& clock) { add(clock); }

    /// A newer sample; one that is not newer is no news.
    void add(const segment::Clock& clock);

    /// Nanoseconds; the TSC itself when its frequency is not known. Does not
    /// run backwards while samples do not.
    [[nodiscard]] std::int64_t ns(std::uint64_t tsc) const;

    [[nodiscard]] std::size_t samples() const noexcept
    {
        return samples_.size();
    }

  private:
    /// Above this, every other one is forgotten.
    static constexpr std::size_t kMostSamples = 4096;

    std::vector<ipidefer_clock_sample> samples_;  // by TSC
    segment::Clock newest_;
};

}  // namespace ipidefer::trace

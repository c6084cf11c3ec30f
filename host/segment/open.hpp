// SPDX-License-Identifier: GPL-2.0-or-later
// Open: find VMs by their segments, and map one.
#pragma once

#include <ipidefer/shm.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "segment.hpp"

namespace ipidefer::segment {

enum class Life {
    kRuns,
    kEnded,    // in an orderly way
    kGone,     // died, and left its segment behind
    kUnknown,  // its process cannot be seen from here
};
[[nodiscard]] std::string_view to_string(Life life) noexcept;

/// Names of all VMs that have a segment, sorted. Throws Failure when the
/// folder cannot be read.
[[nodiscard]] std::vector<std::string> vm_names(
    const std::filesystem::path& folder);

class OpenVm final {
  public:
    /// Throws Failure when there is no such VM, it may not be opened, or its
    /// segment is none. Survives truncation: the segment then shows zeroes.
    OpenVm(const std::filesystem::path& folder, std::string name,
           bool writable = false);

    /// As the file is named; the segment may say something else.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const Segment& segment() const noexcept { return segment_; }
    [[nodiscard]] Life life() const;
    /// Throws Failure when the segment was truncated meanwhile.
    void check() const;
    /// Only of a writable one.
    [[nodiscard]] ipidefer_segment_policy& policy() noexcept;

  private:
    struct Close {
        void operator()(ipidefer_shm_map* map) const noexcept
        {
            ipidefer_shm_close(map);
        }
    };
    using Map = std::unique_ptr<ipidefer_shm_map, Close>;

    [[nodiscard]] static Map open(const std::filesystem::path& folder,
                                  const std::string& name, bool writable);
    [[nodiscard]] static Segment view(const std::string& name, const Map& map);

    std::string name_;
    Map map_;
    Segment segment_;
};

}  // namespace ipidefer::segment

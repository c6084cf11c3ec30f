// SPDX-License-Identifier: GPL-2.0-or-later
// Open: find VMs by their segments, and map one.
//
// VMs of one name may run side by side, as while one moves to a new VMM, and
// names are any bytes. So a segment has an ID, which no other has, and names
// are shown as ipidefer_shm_show_name() writes them.
#pragma once

#include <ipidefer/shm.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/segment/place.hpp"
#include "host/segment/segment.hpp"

namespace ipidefer::segment {

enum class Life {
    kRuns,
    kEnded,    // in an orderly way
    kGone,     // died, and left its segment behind
    kUnknown,  // the file system does not tell
};
[[nodiscard]] std::string_view to_string(Life life) noexcept;

/// A VM's name as text: UTF-8 without controls, other bytes and % as %XX.
[[nodiscard]] std::string shown_name(const std::string& name);

/// A segment's file, before it is opened.
struct Found {
    std::string id;
    std::string name;  // of the VM, as it is
    std::string
        label;  // its name as shown; its ID if an older one has the name
    uid_t owner = 0;
    std::uint64_t published_ns = 0;

    /// Whether a user means this one: by its ID, or by the VM's name, as it is
    /// or as shown.
    [[nodiscard]] bool is(const std::string& vm) const;
};

struct Survey {
    std::vector<Found> found;  // by name, the oldest first
    ipidefer_shm_left_out
        left_out{};  // what was seen there, and is not in here
};

/// All segments of a place. Throws Failure when its folder cannot be read.
[[nodiscard]] Survey survey(const Place& place);

/// The segment of one VM: by its ID, or by its name, as it is or as shown; of
/// several of a name, the one that runs. Throws Failure when there is none, or
/// when several run, which it names.
[[nodiscard]] Found find(const Place& place, const std::string& vm);

/// Remove the segment of a VM that died, and no other. Throws Failure.
void remove_stale(const Place& place, const Found& segment);
/// All that VMs of this name left that died. Never throws.
void remove_stale_ones(const Place& place, const std::string& name) noexcept;

class OpenVm final {
  public:
    /// @param vm as find() takes it
    /// Throws Failure when there is no such VM, it may not be opened, or its
    /// segment is none. Survives truncation: the segment then shows zeroes.
    OpenVm(const Place& place, const std::string& vm, bool writable = false)
        : OpenVm{place, find(place, vm), writable}
    {
    }
    OpenVm(const Place& place, Found found, bool writable = false);

    [[nodiscard]] const std::string& id() const noexcept { return found_.id; }
    /// As its file says; the segment may say something else.
    [[nodiscard]] const std::string& name() const noexcept
    {
        return found_.name;
    }
    /// For people: the name as shown, or the ID.
    [[nodiscard]] const std::string& label() const noexcept
    {
        return found_.label;
    }
    [[nodiscard]] uid_t owner() const noexcept
    {
        return ipidefer_shm_owner(map_.get());
    }
    [[nodiscard]] bool writable() const noexcept { return writable_; }
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

    [[nodiscard]] static Map open(const Place& place, const Found& found,
                                  bool writable);
    [[nodiscard]] static Segment view(const Found& found, const Map& map);

    Found found_;
    bool writable_;
    Map map_;
    Segment segment_;
};

}  // namespace ipidefer::segment

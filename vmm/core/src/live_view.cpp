// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/live_view.hpp"

namespace ipidefer {

/// Readers that see the same even `seq` before and after saw no change.
class LiveView::Change final {
  public:
    Change(ipidefer_segment_view& view, std::uint32_t& seq) noexcept
        : view_{view}, seq_{seq}
    {
        store(view_.seq, ++seq_);
    }
    ~Change()
    {
        // The fields before the even seq.
        store(view_.seq, ++seq_);
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

  private:
    ipidefer_segment_view& view_;
    std::uint32_t& seq_;
};

void LiveView::bind(std::uint32_t vcpu, std::uint32_t& seq,
                    std::span<const ipi_defer_binding> bindings) noexcept
{
    ipidefer_segment_view& view = vcpus_[vcpu];
    const Change change{view, seq};
    store(view.count, static_cast<std::uint32_t>(bindings.size()));
    for (std::size_t i = 0; i < bindings.size(); ++i) {
        const ipi_defer_binding& b = bindings[i];
        ipidefer_segment_slot& at = view.slot[i];
        store<std::uint64_t>(at.word_gpa, b.word_gpa);
        store<std::uint32_t>(at.accept_mask, b.accept_mask);
        store<std::uint32_t>(at.accept_value, b.accept_value);
        store<std::uint32_t>(at.work_bit, b.work_bit);
        store<std::uint32_t>(at.state_mask, b.state_mask);
        store<std::uint8_t>(at.state_shift, b.state_shift);
        store<std::uint8_t>(at.vector, b.vector);
        store<std::uint8_t>(at.state_user, b.state_user);
        store<std::uint8_t>(at.state_guest, b.state_guest);
        store<std::uint8_t>(at.state_idle, b.state_idle);
        store<std::uint8_t>(at.lost, 0);
        store<std::uint32_t>(at.word, 0);
        store<std::uint64_t>(at.seen, 0);
        store<std::uint64_t>(at.pending_since, 0);
    }
}

void LiveView::lose(std::uint32_t vcpu, std::uint32_t& seq,
                    std::uint32_t slot) noexcept
{
    ipidefer_segment_view& view = vcpus_[vcpu];
    const Change change{view, seq};
    store<std::uint8_t>(view.slot[slot].lost, 1);
    store<std::uint64_t>(view.slot[slot].pending_since, 0);
}

}  // namespace ipidefer

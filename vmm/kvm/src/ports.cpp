// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/ports.hpp"

#include <utility>

namespace ipidefer::vmm {

Ports::Ports(Ending& ending, Snapshot snapshot)
    : ending_{ending}, snapshot_{std::move(snapshot)}
{
}

void Ports::write(std::uint16_t port, unsigned bytes, std::uint32_t value)
{
    if (port == kPortExit) {
        ending_.set({Outcome::Kind::kExit, value, {}});
        return;
    }
    if (port == kPortMark) {
        Mark mark = snapshot_();
        mark.value = value;
        const std::lock_guard hold{mutex_};
        if (marks_.size() < kMostMarks)
            marks_.push_back(std::move(mark));
        else
            ++marks_lost_;
        return;
    }
    if (port != kPortConsole) return;
    bool line = false;
    {
        const std::lock_guard hold{mutex_};
        for (unsigned i = 0; i < bytes; ++i) {
            if (console_bytes_ == kMostConsole) {
                ++console_lost_;
                continue;
            }
            const char c = static_cast<char>(value >> (8 * i));
            console_ += c;
            ++console_bytes_;
            line |= c == '\n';
        }
    }
    if (line) ending_.notify();
}

std::uint32_t Ports::read(std::uint16_t port) noexcept
{
    return port == kPortConsole ? kPortConsole : 0xffff'ffff;
}

std::string Ports::take_console()
{
    const std::lock_guard hold{mutex_};
    return std::exchange(console_, {});
}

std::uint64_t Ports::console_lost() const
{
    const std::lock_guard hold{mutex_};
    return console_lost_;
}

std::vector<Mark> Ports::marks() const
{
    const std::lock_guard hold{mutex_};
    return marks_;
}

std::uint64_t Ports::marks_lost() const
{
    const std::lock_guard hold{mutex_};
    return marks_lost_;
}

}  // namespace ipidefer::vmm

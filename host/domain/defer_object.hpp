// SPDX-License-Identifier: GPL-2.0-or-later
// Defer object: the value of QEMU's option -object for an ipi-defer object, as
// key=value text or as JSON, read and changed. What is not changed stays as it
// was written.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpulist.hpp"

namespace ipidefer::domain {

/// As many as QEMU can have, and more.
inline constexpr unsigned kMostVcpus = 65536;

class DeferObject final {
  public:
    /// Nothing when it is an object of another type, or no object at all.
    [[nodiscard]] static std::optional<DeferObject> parse(
        std::string_view argument);
    /// A new one, with nothing but an id.
    [[nodiscard]] static DeferObject create(const std::string& id);

    /// Of a key that is given once, as text; nothing when it is not given.
    [[nodiscard]] std::optional<std::string> get(const std::string& key) const;
    /// Throws Failure for what is no list of numbers below 65536.
    [[nodiscard]] CpuSet isolated() const;

    void set(const std::string& key, const std::string& value);
    void set_isolated(const CpuSet& cpus);

    /// For the command line.
    [[nodiscard]] std::string argument() const;

  private:
    struct Field {
        std::string key;
        std::string value;   // as text; of JSON, unless a string, as JSON
        bool quoted = true;  // of JSON: a string
    };

    bool json_ = false;
    bool typed_ = false;  // "qom-type=ipi-defer", not just "ipi-defer"
    std::vector<Field> fields_;
};

}  // namespace ipidefer::domain

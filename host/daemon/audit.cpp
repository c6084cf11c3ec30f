// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit.hpp"

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "failure.hpp"
#include "status_json.hpp"
#include "text.hpp"

namespace ipidefer::daemon {

Audit::Audit(const std::filesystem::path& file)
{
    if (file.empty()) return;
    file_.open(file, std::ios::app);
    if (!file_)
        throw Failure{Exit::kCannotRun,
                      "cannot write the audit log '" + file.string() + "'"};
}

void Audit::policy(const std::string& vm, const std::string& by,
                   const std::vector<std::string>& changes)
{
    if (changes.empty()) return;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const nlohmann::ordered_json entry{
        {"event", "policy"},
        {"time_ms",
         std::chrono::duration_cast<std::chrono::milliseconds>(now).count()},
        {"vm", vm},
        {"by", by},
        {"changes", changes}};
    const std::string line = segment::dump(entry);
    std::cerr << line << std::endl;
    if (file_.is_open()) file_ << line << std::endl;
}

void Audit::note(const std::string& text)
{
    std::cerr << "ipideferd: " << printable(text) << std::endl;
}

}  // namespace ipidefer::daemon

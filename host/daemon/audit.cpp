// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/audit.hpp"

#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/json_writer.hpp"
#include "base/text.hpp"
#include "host/daemon/service.hpp"

namespace ipidefer::daemon {
namespace {

constexpr mode_t kMode = 0640;

}  // namespace

Audit::Audit(const std::filesystem::path& file) : path_{file}
{
    if (!path_.empty() && !open())
        throw Failure{Exit::kCannotRun, "cannot write the audit log '" +
                                            printable(path_.string()) +
                                            "': " + std::strerror(errno)};
}

Audit::~Audit()
{
    if (file_ >= 0) ::close(file_);
}

bool Audit::open()
{
    file_ =
        ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kMode);
    return file_ >= 0;
}

void Audit::trouble(const std::string& what, int error)
{
    const std::string text = what + " '" + printable(path_.string()) +
                             "': " + std::strerror(error) +
                             "; entries are kept, and tried again";
    if (text != trouble_) note(text);
    trouble_ = text;
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
    const std::string text = json_text(entry);
    log(LOG_NOTICE, text, {{"IPIDEFER_VM", vm}, {"IPIDEFER_BY", by}});
    const std::string line = text + '\n';
    if (path_.empty()) return;
    if (kept_.size() == kMostKept) {
        if (lost_++ == 0)
            note("the audit log '" + printable(path_.string()) +
                 "' will lack entries: " + std::to_string(kMostKept) +
                 " are kept already");
    } else {
        kept_.push_back(line);
    }
    flush();
}

void Audit::flush()
{
    if (kept_.empty()) return;
    if (file_ < 0 && !open())
        return trouble("cannot open the audit log", errno);
    while (!kept_.empty()) {
        std::string& line = kept_.front();
        const ssize_t written = ::write(file_, line.data(), line.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return trouble("cannot write the audit log", errno);
        // The rest of a line comes before the next line.
        line.erase(0, static_cast<std::size_t>(written));
        if (line.empty()) kept_.pop_front();
    }
    if (!trouble_.empty()) note("the audit log is written again");
    trouble_.clear();
}

void Audit::reopen()
{
    if (path_.empty()) return;
    // What is kept of an entry that was partly written goes into the new file
    // as what it is, the end of a line.
    flush();
    if (file_ >= 0) ::close(file_);
    if (!open()) trouble("cannot open the audit log", errno);
    flush();
}

void Audit::note(const std::string& text) { log(LOG_INFO, printable(text)); }

}  // namespace ipidefer::daemon

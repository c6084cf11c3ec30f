// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/output.hpp"

#include <ipidefer/segment.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/cpulist.hpp"
#include "base/duration.hpp"
#include "base/json_writer.hpp"
#include "base/text.hpp"
#include "host/trace/perfetto.hpp"

namespace ipidefer::trace {
namespace {

constexpr std::uint64_t kNsPerUs = 1'000;

/// Fields that stand elsewhere in a line.
bool is_shown_apart(const Field& field)
{
    return field.type == FieldType::kCpu || field.name == "ts";
}

std::string value_text(const Field& field, const Event& event)
{
    switch (field.type) {
        case FieldType::kCpumask:
            return mask_text(event);
        case FieldType::kString:
            return std::string{field.text(event)};
        case FieldType::kScalar:
        case FieldType::kCpu:
            break;
    }
    const std::uint64_t number = field.number(event);
    if (field.name == "cpu") return std::to_string(number);
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx",
                  static_cast<unsigned long long>(number));
    return text;
}

/// In trace-cmd's manner: "  vCPU-0  [000]  1234.567890: name:  fields".
class TextOutput final : public Output {
  public:
    explicit TextOutput(std::ostream& out) : out_{out} {}

    void event(const Event& event, Moment at) override
    {
        char task[24] = "<...>";
        char cpu[16] = "[---]";
        if (event.entry.sender != IPIDEFER_NO_VCPU) {
            std::snprintf(task, sizeof task, "vCPU-%u", event.entry.sender);
            std::snprintf(cpu, sizeof cpu, "[%03u]", event.entry.sender);
        }
        line(task, cpu, at, std::string{event_name(event.entry.kind)} + ':',
             field_text(event));
    }

    void guest(const GuestLine& guest, Moment at) override
    {
        char cpu[16];
        std::snprintf(cpu, sizeof cpu, "[%03u]", guest.cpu);
        line("guest:" + guest.task, cpu, at, "", printable(guest.event));
    }

    void lost(std::uint64_t count) override
    {
        out_ << "[LOST " << count << " EVENTS]\n" << std::flush;
    }

  private:
    void line(const std::string& task, const char* cpu, Moment at,
              const std::string& name, const std::string& rest)
    {
        // Before the boot there is nothing; a broken clock may say so.
        const auto ns = static_cast<unsigned long long>(at.ns < 0 ? 0 : at.ns);
        char head[96];
        std::snprintf(head, sizeof head,
                      "%16.40s %s %5llu.%06llu: ", printable(task).c_str(), cpu,
                      ns / kNsPerSecond, ns % kNsPerSecond / kNsPerUs);
        std::string text{head};
        if (!name.empty()) {
            text += name;
            text.resize(
                std::max(text.size() + 1, std::string_view{head}.size() + 14),
                ' ');
        }
        text += rest;
        text += '\n';
        out_ << text << std::flush;
    }

    std::ostream& out_;
};

/// One object per line.
class JsonOutput final : public Output {
  public:
    explicit JsonOutput(std::ostream& out) : out_{out} {}

    void event(const Event& event, Moment at) override
    {
        Json json = head(event_name(event.entry.kind), at);
        json["sender"] = nullptr;
        if (event.entry.sender != IPIDEFER_NO_VCPU)
            json["sender"] = event.entry.sender;
        for (const Field& field : fields()) {
            if ((field.kinds & event.entry.kind) == 0 || is_shown_apart(field))
                continue;
            const std::string key{field.name};
            if (field.type == FieldType::kScalar)
                json[key] = field.number(event);
            else
                json[key] = value_text(field, event);
        }
        write(json);
    }

    void guest(const GuestLine& guest, Moment at) override
    {
        Json json = head("guest", at);
        json["cpu"] = guest.cpu;
        json["task"] = guest.task;
        json["text"] = guest.event;
        write(json);
    }

    void lost(std::uint64_t count) override
    {
        write(Json{{"event", "lost"}, {"count", count}});
    }

  private:
    using Json = nlohmann::ordered_json;

    static Json head(std::string_view name, Moment at)
    {
        return {
            {"event", std::string{name}}, {"ts_ns", at.ns}, {"tsc", at.tsc}};
    }

    void write(const Json& json)
    {
        out_ << json_text(json) << '\n' << std::flush;
    }

    std::ostream& out_;
};

}  // namespace

std::string mask_text(const Event& event)
{
    CpuSet cpus;
    for (std::uint32_t cpu = 0; cpu < event.mask.size() * 64; ++cpu)
        if (mask_has(event.mask, cpu)) cpus.insert(cpus.end(), cpu);
    return format_cpulist(cpus);
}

std::string field_text(const Event& event)
{
    std::string text;
    for (const Field& field : fields()) {
        if ((field.kinds & event.entry.kind) == 0 || is_shown_apart(field))
            continue;
        const std::string value = value_text(field, event);
        // Reasons are of what was delivered, and of nothing else.
        if (value.empty() && field.type == FieldType::kString) continue;
        if (!text.empty()) text += ' ';
        text += field.name;
        text += '=';
        text += value;
    }
    return text;
}

std::unique_ptr<Output> make_output(Format format, std::ostream& out,
                                    const std::string& vm)
{
    switch (format) {
        case Format::kText:
            return std::make_unique<TextOutput>(out);
        case Format::kJson:
            return std::make_unique<JsonOutput>(out);
        case Format::kPerfetto:
            return make_perfetto_output(out, vm);
    }
    return nullptr;
}

}  // namespace ipidefer::trace

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/event_fields.hpp"

#include <ipidefer/ipidefer.h>

#include <array>

#include "vmm/terms/names.hpp"

namespace ipidefer::trace {
namespace {

constexpr std::uint32_t kSend = IPIDEFER_TRACE_SEND;
constexpr std::uint32_t kVerdict = IPIDEFER_TRACE_VERDICT;
constexpr std::uint32_t kBoth = kSend | kVerdict;

constexpr Field scalar(std::string_view name, std::uint32_t kinds,
                       std::uint64_t (*number)(const Event&))
{
    return {name, FieldType::kScalar, kinds, number, nullptr};
}

constexpr Field cpu(std::string_view name,
                    std::uint64_t (*number)(const Event&))
{
    return {name, FieldType::kCpu, kBoth, number, nullptr};
}

constexpr Field string(std::string_view name, std::uint32_t kinds,
                       std::string_view (*text)(const Event&))
{
    return {name, FieldType::kString, kinds, nullptr, text};
}

std::uint64_t sender_of(const Event& e) { return e.entry.sender; }

constexpr std::array kFields{
    scalar("ts", kBoth, [](const Event& e) { return e.entry.tsc; }),
    cpu("sender", sender_of),
    // The kernel's name for the CPU that an event happens on.
    cpu("CPU", sender_of),
    scalar("cpu", kVerdict,
           [](const Event& e) { return std::uint64_t{e.entry.cpu}; }),
    Field{"cpumask", FieldType::kCpumask, kSend, nullptr, nullptr},
    scalar("vector", kBoth,
           [](const Event& e) { return std::uint64_t{e.entry.vector}; }),
    string(
        "delivery", kBoth,
        [](const Event& e) { return terms::delivery_name(e.entry.delivery); }),
    string("shorthand", kSend,
           [](const Event& e) {
               return terms::shorthand_name(e.entry.shorthand);
           }),
    string("dest_mode", kSend,
           [](const Event& e) -> std::string_view {
               return (e.entry.flags & IPIDEFER_TRACE_LOGICAL) != 0
                          ? "logical"
                          : "physical";
           }),
    scalar("dest", kSend,
           [](const Event& e) { return std::uint64_t{e.entry.dest}; }),
    string("verdict", kVerdict,
           [](const Event& e) {
               return terms::verdict_words(e.entry.verdict).verdict;
           }),
    string("reason", kVerdict,
           [](const Event& e) {
               return terms::verdict_words(e.entry.verdict).reason;
           }),
    string("context", kVerdict,
           [](const Event& e) { return terms::context_name(e.entry.context); }),
    scalar("word", kVerdict,
           [](const Event& e) { return std::uint64_t{e.entry.word}; }),
};

}  // namespace

std::span<const Field> fields() noexcept { return kFields; }

const Field* find_field(std::string_view name) noexcept
{
    for (const Field& field : kFields)
        if (field.name == name) return &field;
    return nullptr;
}

std::string_view event_name(std::uint32_t kind) noexcept
{
    if (kind == kSend) return "ipi_send";
    if (kind == kVerdict) return "ipi_verdict";
    return "?";
}

std::optional<std::uint32_t> event_kind(std::string_view name) noexcept
{
    for (const std::uint32_t kind : {kSend, kVerdict})
        if (event_name(kind) == name) return kind;
    return std::nullopt;
}

bool mask_has(const std::vector<std::uint64_t>& mask,
              std::uint64_t cpu) noexcept
{
    return cpu / 64 < mask.size() && (mask[cpu / 64] >> cpu % 64 & 1) != 0;
}

}  // namespace ipidefer::trace

// SPDX-License-Identifier: GPL-2.0-or-later
// Perfetto's field numbers, those that we write; from protos/perfetto/trace in
// github.com/google/perfetto.
#pragma once

#include <cstdint>

namespace ipidefer::trace::perfetto {

// Trace
inline constexpr std::uint32_t kTracePacket = 1;

// TracePacket
inline constexpr std::uint32_t kPacketTimestamp = 8;  // nanoseconds
inline constexpr std::uint32_t kPacketSequenceId = 10;
inline constexpr std::uint32_t kPacketTrackEvent = 11;
inline constexpr std::uint32_t kPacketSequenceFlags = 13;
inline constexpr std::uint32_t kPacketPreviousDropped = 42;
inline constexpr std::uint32_t kPacketTrackDescriptor = 60;
inline constexpr std::uint32_t kIncrementalStateCleared = 1;

// TrackDescriptor
inline constexpr std::uint32_t kTrackUuid = 1;
inline constexpr std::uint32_t kTrackName = 2;
inline constexpr std::uint32_t kTrackProcess = 3;
inline constexpr std::uint32_t kTrackParentUuid = 5;

// ProcessDescriptor
inline constexpr std::uint32_t kProcessPid = 1;
inline constexpr std::uint32_t kProcessName = 6;

// TrackEvent
inline constexpr std::uint32_t kEventDebugAnnotations = 4;
inline constexpr std::uint32_t kEventType = 9;
inline constexpr std::uint32_t kEventTrackUuid = 11;
inline constexpr std::uint32_t kEventCategories = 22;
inline constexpr std::uint32_t kEventName = 23;
inline constexpr std::uint32_t kEventFlowIds = 47;
inline constexpr std::int32_t kTypeInstant = 3;

// DebugAnnotation
inline constexpr std::uint32_t kNoteUint = 3;
inline constexpr std::uint32_t kNoteString = 6;
inline constexpr std::uint32_t kNoteName = 10;

}  // namespace ipidefer::trace::perfetto

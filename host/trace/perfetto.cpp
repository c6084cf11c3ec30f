// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/perfetto.hpp"

#include <ipidefer/segment.h>

#include <map>
#include <ostream>
#include <protozero/pbf_writer.hpp>
#include <set>
#include <utility>

#include "host/trace/perfetto_fields.hpp"
#include "vmm/terms/names.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::trace {
namespace {

using protozero::pbf_writer;
namespace pb = perfetto;

constexpr std::uint32_t kSequence = 1;
constexpr std::uint64_t kProcessTrack = 1;
/// Tracks of a vCPU, above the process'.
enum class Track : std::uint64_t { kSends = 0, kVerdicts = 1, kGuest = 2 };
constexpr std::uint64_t kTracksPerVcpu = 4;

/// Of an unknown sender: after all vCPUs.
constexpr std::uint64_t kUnknownVcpu = IPIDEFER_SEGMENT_MAX_VCPUS;

class PerfettoOutput final : public Output {
  public:
    PerfettoOutput(std::ostream& out, const std::string& vm) : out_{out}
    {
        packet([&vm](pbf_writer& packet) {
            // First of its sequence, and nothing before it counts.
            packet.add_uint32(pb::kPacketSequenceFlags,
                              pb::kIncrementalStateCleared);
            pbf_writer track{packet, pb::kPacketTrackDescriptor};
            track.add_uint64(pb::kTrackUuid, kProcessTrack);
            pbf_writer process{track, pb::kTrackProcess};
            process.add_int32(pb::kProcessPid, 1);
            process.add_string(pb::kProcessName, "VM " + vm);
        });
    }

    void event(const Event& event, Moment at) override
    {
        const bool send = event.entry.kind == IPIDEFER_TRACE_SEND;
        const std::uint64_t uuid =
            send ? track(event.entry.sender, Track::kSends)
                 : track(event.entry.cpu, Track::kVerdicts);
        const auto flow_key = std::pair{event.entry.sender, event.entry.vector};
        // Numbers are distinct, and 0 is no flow.
        if (send) flows_[flow_key] = event.number + 1;
        const auto flow = flows_.find(flow_key);
        instant(at, uuid, title(event), [&](pbf_writer& track_event) {
            if (flow != flows_.end())
                track_event.add_fixed64(pb::kEventFlowIds, flow->second);
            for (const Field& field : fields())
                annotate(track_event, field, event);
        });
    }

    void guest(const GuestLine& line, Moment at) override
    {
        instant(at, track(line.cpu, Track::kGuest), line.event,
                [&line](pbf_writer& track_event) {
                    pbf_writer note{track_event, pb::kEventDebugAnnotations};
                    note.add_string(pb::kNoteName, "task");
                    note.add_string(pb::kNoteString, line.task);
                });
    }

    void lost(std::uint64_t count) override
    {
        lost_before_next_ = true;
        lost_ += count;
    }

  private:
    template <class Fill>
    void packet(Fill fill)
    {
        std::string body;
        pbf_writer packet{body};
        packet.add_uint32(pb::kPacketSequenceId, kSequence);
        fill(packet);
        std::string message;
        pbf_writer trace{message};
        trace.add_message(pb::kTracePacket, body);
        // A trace is a concatenation of packets, so it may end anywhere.
        out_.write(message.data(),
                   static_cast<std::streamsize>(message.size()));
        out_.flush();
    }

    template <class Fill>
    void instant(Moment at, std::uint64_t uuid, const std::string& name,
                 Fill fill)
    {
        packet([&](pbf_writer& packet) {
            packet.add_uint64(pb::kPacketTimestamp, static_cast<std::uint64_t>(
                                                        at.ns < 0 ? 0 : at.ns));
            if (std::exchange(lost_before_next_, false))
                packet.add_bool(pb::kPacketPreviousDropped, true);
            pbf_writer event{packet, pb::kPacketTrackEvent};
            event.add_enum(pb::kEventType, pb::kTypeInstant);
            event.add_uint64(pb::kEventTrackUuid, uuid);
            event.add_string(pb::kEventCategories, "ipidefer");
            event.add_string(pb::kEventName, name);
            if (lost_ != 0) {
                pbf_writer note{event, pb::kEventDebugAnnotations};
                note.add_string(pb::kNoteName, "lost_before");
                note.add_uint64(pb::kNoteUint, std::exchange(lost_, 0));
            }
            fill(event);
        });
    }

    static std::string title(const Event& event)
    {
        std::string text = terms::vector_name(event.entry.vector);
        if (event.entry.kind == IPIDEFER_TRACE_SEND) return "send " + text;
        const auto [verdict, reason] =
            terms::verdict_words(event.entry.verdict);
        text += ' ';
        text += verdict;
        if (!reason.empty()) (text += ": ") += reason;
        return text;
    }

    static void annotate(pbf_writer& track_event, const Field& field,
                         const Event& event)
    {
        if ((field.kinds & event.entry.kind) == 0) return;
        pbf_writer note{track_event, pb::kEventDebugAnnotations};
        note.add_string(pb::kNoteName, field.name.data(), field.name.size());
        switch (field.type) {
            case FieldType::kScalar:
            case FieldType::kCpu:
                note.add_uint64(pb::kNoteUint, field.number(event));
                break;
            case FieldType::kString: {
                const auto text = field.text(event);
                note.add_string(pb::kNoteString, text.data(), text.size());
                break;
            }
            case FieldType::kCpumask:
                note.add_string(pb::kNoteString, mask_text(event));
                break;
        }
    }

    /// Describes it when it is first used.
    std::uint64_t track(std::uint32_t vcpu, Track which)
    {
        const std::uint64_t number =
            vcpu < IPIDEFER_SEGMENT_MAX_VCPUS ? vcpu : kUnknownVcpu;
        const std::uint64_t uuid = kProcessTrack + 1 + number * kTracksPerVcpu +
                                   static_cast<std::uint64_t>(which);
        if (!described_.insert(uuid).second) return uuid;
        std::string name =
            number == kUnknownVcpu ? "unknown" : "vCPU " + std::to_string(vcpu);
        switch (which) {
            case Track::kSends:
                name += " sends";
                break;
            case Track::kVerdicts:
                name += " is sent";
                break;
            case Track::kGuest:
                name += " guest trace";
                break;
        }
        packet([&](pbf_writer& packet) {
            pbf_writer descriptor{packet, pb::kPacketTrackDescriptor};
            descriptor.add_uint64(pb::kTrackUuid, uuid);
            descriptor.add_uint64(pb::kTrackParentUuid, kProcessTrack);
            descriptor.add_string(pb::kTrackName, name);
        });
        return uuid;
    }

    std::ostream& out_;
    std::set<std::uint64_t> described_;
    std::map<std::pair<std::uint32_t, std::uint8_t>, std::uint64_t> flows_;
    bool lost_before_next_ = false;
    std::uint64_t lost_ = 0;
};

}  // namespace

std::unique_ptr<Output> make_perfetto_output(std::ostream& out,
                                             const std::string& vm)
{
    return std::make_unique<PerfettoOutput>(out, vm);
}

}  // namespace ipidefer::trace

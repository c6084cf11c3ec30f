// SPDX-License-Identifier: GPL-2.0-or-later
// What was written is parsed back, by the field numbers, as a schema check.
#include "host/trace/perfetto.hpp"

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

#include <map>
#include <protozero/pbf_reader.hpp>
#include <sstream>

#include "host/trace/perfetto_fields.hpp"

namespace ipidefer::trace {
namespace {

using protozero::pbf_reader;
namespace pb = perfetto;

struct Packet {
    std::uint64_t timestamp = 0;
    bool dropped_before = false;
    std::uint32_t sequence = 0;
    // Of a track descriptor.
    bool describes = false;
    std::uint64_t uuid = 0;
    std::uint64_t parent = 0;
    std::string name;
    std::string process;
    // Of a track event.
    std::int32_t type = 0;
    std::vector<std::uint64_t> flows;
    std::map<std::string, std::string> notes;
};

void parse_note(pbf_reader note, Packet& packet)
{
    std::string name;
    std::string value;
    while (note.next()) switch (note.tag()) {
            case pb::kNoteName:
                name = note.get_string();
                break;
            case pb::kNoteString:
                value = note.get_string();
                break;
            case pb::kNoteUint:
                value = std::to_string(note.get_uint64());
                break;
            default:
                ADD_FAILURE() << "DebugAnnotation " << note.tag();
                note.skip();
        }
    packet.notes[name] = value;
}

void parse_event(pbf_reader event, Packet& packet)
{
    while (event.next()) switch (event.tag()) {
            case pb::kEventType:
                packet.type = event.get_enum();
                break;
            case pb::kEventTrackUuid:
                packet.uuid = event.get_uint64();
                break;
            case pb::kEventName:
                packet.name = event.get_string();
                break;
            case pb::kEventCategories:
                EXPECT_EQ(event.get_string(), "ipidefer");
                break;
            case pb::kEventFlowIds:
                packet.flows.push_back(event.get_fixed64());
                break;
            case pb::kEventDebugAnnotations:
                parse_note(event.get_message(), packet);
                break;
            default:
                ADD_FAILURE() << "TrackEvent " << event.tag();
                event.skip();
        }
}

void parse_track(pbf_reader track, Packet& packet)
{
    packet.describes = true;
    while (track.next()) switch (track.tag()) {
            case pb::kTrackUuid:
                packet.uuid = track.get_uint64();
                break;
            case pb::kTrackParentUuid:
                packet.parent = track.get_uint64();
                break;
            case pb::kTrackName:
                packet.name = track.get_string();
                break;
            case pb::kTrackProcess: {
                pbf_reader process = track.get_message();
                while (process.next())
                    if (process.tag() == pb::kProcessName)
                        packet.process = process.get_string();
                    else
                        process.skip();
                break;
            }
            default:
                ADD_FAILURE() << "TrackDescriptor " << track.tag();
                track.skip();
        }
}

std::vector<Packet> parse(const std::string& bytes)
{
    std::vector<Packet> packets;
    pbf_reader trace{bytes};
    while (trace.next(pb::kTracePacket)) {
        Packet packet;
        pbf_reader message = trace.get_message();
        while (message.next()) switch (message.tag()) {
                case pb::kPacketTimestamp:
                    packet.timestamp = message.get_uint64();
                    break;
                case pb::kPacketSequenceId:
                    packet.sequence = message.get_uint32();
                    break;
                case pb::kPacketSequenceFlags:
                    EXPECT_EQ(message.get_uint32(),
                              pb::kIncrementalStateCleared);
                    break;
                case pb::kPacketPreviousDropped:
                    packet.dropped_before = message.get_bool();
                    break;
                case pb::kPacketTrackDescriptor:
                    parse_track(message.get_message(), packet);
                    break;
                case pb::kPacketTrackEvent:
                    parse_event(message.get_message(), packet);
                    break;
                default:
                    ADD_FAILURE() << "TracePacket " << message.tag();
                    message.skip();
            }
        packets.push_back(std::move(packet));
    }
    return packets;
}

class PerfettoTest : public ::testing::Test {
  protected:
    static Event send_event(std::uint64_t number)
    {
        Event event;
        event.number = number;
        event.entry.kind = IPIDEFER_TRACE_SEND;
        event.entry.sender = 1;
        event.entry.vector = 0xf5;
        event.mask = {0xc};
        return event;
    }
    static Event verdict_event(std::uint32_t cpu)
    {
        Event event;
        event.entry.kind = IPIDEFER_TRACE_VERDICT;
        event.entry.sender = 1;
        event.entry.cpu = cpu;
        event.entry.vector = 0xf5;
        event.entry.verdict = IPIDEFER_DELIVERED_POLICY;
        event.mask = {0};
        return event;
    }
    std::vector<Packet> packets() { return parse(bytes_.str()); }
    std::vector<Packet> events()
    {
        std::vector<Packet> only;
        for (Packet& packet : packets())
            if (!packet.describes) only.push_back(std::move(packet));
        return only;
    }

    std::ostringstream bytes_;
    std::unique_ptr<Output> out_ = make_perfetto_output(bytes_, "web");
};

TEST_F(PerfettoTest, TracksAreDescribedOnceBeforeTheirFirstEvent)
{
    out_->event(send_event(0), {1, 1});
    out_->event(send_event(1), {2, 2});
    out_->event(verdict_event(2), {3, 3});
    const auto all = packets();
    ASSERT_EQ(all.size(), 6u);
    EXPECT_EQ(all[0].process, "VM web");
    EXPECT_EQ(all[1].name, "vCPU 1 sends");
    EXPECT_EQ(all[1].parent, all[0].uuid);
    EXPECT_EQ(all[2].uuid, all[1].uuid);
    EXPECT_EQ(all[3].uuid, all[1].uuid);
    EXPECT_EQ(all[4].name, "vCPU 2 is sent");
    EXPECT_EQ(all[5].uuid, all[4].uuid);
    for (const Packet& packet : all) EXPECT_NE(packet.sequence, 0u);
}

TEST_F(PerfettoTest, EventsCarryTimeNameAndFields)
{
    out_->event(send_event(0), {9, 1'000});
    out_->event(verdict_event(2), {9, 2'000});
    const auto all = events();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].timestamp, 1'000u);
    EXPECT_EQ(all[0].type, pb::kTypeInstant);
    EXPECT_EQ(all[0].name, "send sync_core");
    EXPECT_EQ(all[0].notes.at("cpumask"), "2-3");
    EXPECT_EQ(all[0].notes.at("vector"), "245");
    EXPECT_EQ(all[1].name, "sync_core delivered: policy");
    EXPECT_EQ(all[1].notes.at("reason"), "policy");
    EXPECT_EQ(all[1].notes.at("cpu"), "2");
}

TEST_F(PerfettoTest, VerdictsFlowFromTheSendBeforeThem)
{
    out_->event(send_event(41), {1, 1});
    out_->event(verdict_event(2), {2, 2});
    out_->event(verdict_event(3), {2, 2});
    const auto all = events();
    ASSERT_EQ(all.size(), 3u);
    for (const Packet& packet : all)
        EXPECT_EQ(packet.flows, (std::vector<std::uint64_t>{42}));
}

TEST_F(PerfettoTest, LostEventsAreMarkedAtTheNextOne)
{
    out_->lost(3);
    out_->event(send_event(0), {1, 1});
    out_->event(send_event(1), {2, 2});
    const auto all = events();
    EXPECT_TRUE(all[0].dropped_before);
    EXPECT_EQ(all[0].notes.at("lost_before"), "3");
    EXPECT_FALSE(all[1].dropped_before);
}

TEST_F(PerfettoTest, GuestLinesHaveTracksOfTheirOwn)
{
    out_->guest({5, 2, "sh-1", "csd_queue_cpu: cpu=3"}, {5, 50});
    const auto all = packets();
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[1].name, "vCPU 2 guest trace");
    EXPECT_EQ(all[2].name, "csd_queue_cpu: cpu=3");
    EXPECT_EQ(all[2].notes.at("task"), "sh-1");
}

}  // namespace
}  // namespace ipidefer::trace

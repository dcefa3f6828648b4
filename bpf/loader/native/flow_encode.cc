// SPDX-License-Identifier: Apache-2.0
#include "flow_encode.h"

#include <arpa/inet.h>

#include <cstring>
#include <ctime>

#include "async.h"

namespace weir
{

namespace
{

constexpr size_t mostFlowBytes = 320; // all fields at their longest: 256
constexpr size_t usualFlowBytes = 128;

// Numbers of proto/weir/flow/v1/flow.proto.
enum BatchField { batchBoot = 1, batchFirstSeq = 2, batchFlows = 3 };
enum FlowField {
	timeNs = 1,
	sourceIp = 2,
	destinationIp = 3,
	sourcePort = 4,
	destinationPort = 5,
	protocol = 6,
	tcpFlags = 7,
	icmpType = 8,
	icmpCode = 9,
	sourceIdentity = 10,
	destinationIdentity = 11,
	verdict = 12,
	dropReason = 13,
	ruleId = 14,
	direction = 15,
	isReply = 16,
	tracePoint = 17,
	traceReason = 18,
	report = 19,
	packets = 20,
	bytes = 21,
	workloadId = 22,
	connectionNs = 23,
	encrypted = 25,
	frontend = 26,
	pendingVerdict = 27,
	pendingRuleId = 28,
	sourceXlated = 29,
	sockXlatePoint = 30,
	execNs = 31,
	pid = 32,
	uid = 33,
};

enum WireType { wireVarint = 0, wireFixed64 = 1, wireBytes = 2 };

uint8_t *Varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = static_cast<uint8_t>(value | 0x80);
		value >>= 7;
	}
	*at++ = static_cast<uint8_t>(value);
	return at;
}

uint8_t *Tag(uint8_t *at, unsigned int field, WireType type)
{
	return Varint(at, field << 3 | type);
}

uint8_t *Number(uint8_t *at, unsigned int field, uint64_t value)
{
	return value ? Varint(Tag(at, field, wireVarint), value) : at;
}

uint8_t *Fixed64(uint8_t *at, unsigned int field, uint64_t value)
{
	if (!value)
		return at;
	at = Tag(at, field, wireFixed64);
	for (int shift = 0; shift < 64; shift += 8)
		*at++ = static_cast<uint8_t>(value >> shift);
	return at;
}

uint8_t *Address(uint8_t *at, unsigned int field, const uint8_t *address, uint8_t family)
{
	const size_t length = family == 4 ? 4 : 16; // IPv4 is the end of a v4-mapped address
	at = Tag(at, field, wireBytes);
	*at++ = static_cast<uint8_t>(length);
	memcpy(at, address + 16 - length, length);
	return at + length;
}

bool IsSet(const uint8_t *address)
{
	static const uint8_t nothing[16] = {};
	return memcmp(address, nothing, sizeof(nothing)) != 0;
}

// It may be of another family than the flow (NAT64).
bool IsMapped(const uint8_t *address)
{
	static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(address, prefix, sizeof(prefix)) == 0;
}

size_t EncodeFlow(uint8_t *out, const flow_event &event, const ClockOffsets &offsets)
{
	uint8_t *at = out;
	at = Fixed64(at, timeNs, event.header.time_ns + static_cast<uint64_t>(offsets.now));
	at = Address(at, sourceIp, event.saddr, event.family);
	at = Address(at, destinationIp, event.daddr, event.family);
	at = Number(at, sourcePort, ntohs(event.sport));
	at = Number(at, destinationPort, ntohs(event.dport));
	at = Number(at, protocol, event.protocol);
	at = Number(at, tcpFlags, event.tcp_flags);
	at = Number(at, icmpType, event.icmp_type);
	at = Number(at, icmpCode, event.icmp_code);
	at = Number(at, sourceIdentity, event.source_identity);
	at = Number(at, destinationIdentity, event.destination_identity);
	at = Number(at, verdict, event.verdict);
	at = Number(at, dropReason, event.drop_reason);
	at = Number(at, ruleId, event.rule_id);
	at = Number(at, direction, event.direction);
	at = Number(at, isReply, event.is_reply != 0);
	at = Number(at, tracePoint, event.trace_point);
	at = Number(at, traceReason, event.trace_reason);
	at = Number(at, report, event.report);
	at = Number(at, packets, event.packets);
	at = Number(at, bytes, event.bytes);
	at = Number(at, workloadId, event.workload_id);
	at = Fixed64(at, connectionNs,
		event.connection_ns ? event.connection_ns + static_cast<uint64_t>(offsets.connection) : 0);
	at = Number(at, encrypted, event.encrypted != 0);
	at = Number(at, frontend, event.frontend);
	at = Number(at, pendingVerdict, event.pending);
	at = Number(at, pendingRuleId, event.pending_rule);
	if (IsSet(event.xlated))
		at = Address(at, sourceXlated, event.xlated, IsMapped(event.xlated) ? 4 : 6);
	at = Number(at, sockXlatePoint, event.sock_xlate);
	if (event.owner.pid) {
		at = Fixed64(at, execNs, event.owner.exec_ns);
		at = Number(at, pid, event.owner.pid);
		at = Number(at, uid, event.owner.uid);
	}
	return static_cast<size_t>(at - out);
}

int64_t Nanoseconds(const timespec &time)
{
	return int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
}

// encodeFlows(events, boot, firstSeq, offset, connectionOffset): whole flow
// events one after the other, as they come out of the ring.
Napi::Value EncodeFlows(const Napi::CallbackInfo &info)
{
	const View raw = GetView(info[0], "events");
	if (raw.size % sizeof(flow_event) != 0)
		throw Napi::RangeError::New(
			info.Env(), "events must be whole; one has " + std::to_string(sizeof(flow_event)) + " bytes");
	FlowEncoder encoder(GetU64(info[1], "boot"));
	encoder.Begin(GetU64(info[2], "firstSeq"));
	const ClockOffsets offsets{static_cast<int64_t>(GetU64(info[3], "offset")),
		static_cast<int64_t>(GetU64(info[4], "connectionOffset"))};
	for (size_t at = 0; at < raw.size; at += sizeof(flow_event)) {
		flow_event event;
		memcpy(&event, raw.data + at, sizeof(event));
		encoder.Add(event, offsets);
	}
	return ToBuffer(info.Env(), encoder.Take());
}

} // namespace

int64_t MeasureClockOffset()
{
	// the narrowest of a few readings: between the two clocks we may be interrupted
	int64_t best = 0;
	int64_t narrowest = INT64_MAX;
	for (int i = 0; i < 5; i++) {
		timespec before;
		timespec real;
		timespec after;
		clock_gettime(CLOCK_MONOTONIC, &before);
		clock_gettime(CLOCK_REALTIME, &real);
		clock_gettime(CLOCK_MONOTONIC, &after);
		const int64_t width = Nanoseconds(after) - Nanoseconds(before);
		if (width < narrowest) {
			narrowest = width;
			best = Nanoseconds(real) - Nanoseconds(before) - width / 2;
		}
	}
	return best;
}

void FlowEncoder::Begin(uint64_t firstSequence)
{
	first_ = firstSequence;
	count_ = 0;
	out_.clear();
	uint8_t scratch[32];
	uint8_t *at = Number(scratch, batchBoot, boot_);
	at = Number(at, batchFirstSeq, first_);
	out_.insert(out_.end(), scratch, at);
}

void FlowEncoder::Add(const flow_event &event, const ClockOffsets &offsets)
{
	uint8_t flow[mostFlowBytes];
	const size_t length = EncodeFlow(flow, event, offsets);
	uint8_t head[8];
	const uint8_t *end = Varint(Tag(head, batchFlows, wireBytes), length);
	if (out_.capacity() - out_.size() < mostFlowBytes)
		out_.reserve(out_.size() * 2 + 64 * usualFlowBytes);
	out_.insert(out_.end(), head, const_cast<uint8_t *>(end));
	out_.insert(out_.end(), flow, flow + length);
	count_++;
	NoteOwner(event.owner);
}

Bytes FlowEncoder::Take()
{
	Bytes taken = std::move(out_);
	out_ = Bytes();
	out_.reserve(taken.size() + mostFlowBytes); // the next one is about as large
	count_ = 0;
	return taken;
}

// Those of one connection come one after the other, mostly.
void FlowEncoder::NoteOwner(const owner &owner)
{
	if (!owner.pid || memcmp(&owner, &last_, sizeof(owner)) == 0)
		return;
	last_ = owner;
	if (!owners_.emplace(owner.exec_ns, owner.pid, owner.uid).second)
		return;
	const auto *bytes = reinterpret_cast<const uint8_t *>(&owner);
	names_.insert(names_.end(), bytes, bytes + sizeof(owner));
}

Bytes FlowEncoder::TakeOwners()
{
	Bytes taken = std::move(names_);
	names_ = Bytes();
	owners_.clear();
	last_ = {};
	return taken;
}

void InitFlowEncode(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "encodeFlows", EncodeFlows);
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// struct flow_event -> weir.flow.v1.Flow, in one pass and without an object per
// event. Fields are written in ascending order and zero fields are left out, as
// the generated codecs do: the bytes are the same, and a test says so.
#pragma once

#include <linux/types.h>

#include "abi.h"

#include <cstdint>
#include <set>
#include <tuple>

#include "args.h"

namespace weir
{

// What is added to a time of the kernel (CLOCK_MONOTONIC) to make it a Unix time.
struct ClockOffsets {
	int64_t now = 0; // for times of packets: follows adjustments of the clock
	// for connections: never changes while they live, because a connection's
	// start is part of its identity
	int64_t connection = 0;
};

// CLOCK_REALTIME - CLOCK_MONOTONIC at this moment.
int64_t MeasureClockOffset();

class FlowEncoder
{
public:
	explicit FlowEncoder(uint64_t boot) : boot_(boot) {}
	// Begins a FlowBatch; what was not taken is dropped.
	void Begin(uint64_t firstSequence);
	void Add(const flow_event &event, const ClockOffsets &offsets);
	uint32_t count() const { return count_; }
	uint64_t firstSequence() const { return first_; }
	Bytes Take();
	// struct owner of each process that flows since the last time named.
	Bytes TakeOwners();

private:
	void NoteOwner(const owner &owner);

	uint64_t boot_;
	uint64_t first_ = 0;
	uint32_t count_ = 0;
	Bytes out_;
	std::set<std::tuple<uint64_t, uint32_t, uint32_t>> owners_;
	Bytes names_;
	owner last_{};
};

void InitFlowEncode(Napi::Env env, Napi::Object exports);

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// The consumer's side of a BPF ring buffer (Documentation/bpf/ringbuf.rst): two
// positions in shared pages and the data mapped twice in a row, so that a record
// never wraps. Read directly, without a callback or system call per record.
#pragma once

#include <cstddef>
#include <cstdint>

#include "map.h"

namespace weir
{

class RingReader
{
public:
	explicit RingReader(const Map &map);
	~RingReader();
	RingReader(const RingReader &) = delete;
	RingReader &operator=(const RingReader &) = delete;

	// Where the producers are; reading ends there at the latest.
	uint64_t End() const { return __atomic_load_n(producer_, __ATOMIC_ACQUIRE); }
	uint64_t position() const { return position_; }

	// The next record before `end`. False: there is none, or it is still being
	// written. A discarded record has no data (nullptr) but must be passed too.
	bool Next(uint64_t end, const uint8_t **data, uint32_t *size) const;
	// Done with that record. Its bytes may be overwritten after Release().
	void Pass();
	void Release() { __atomic_store_n(consumer_, position_, __ATOMIC_RELEASE); }

private:
	uint32_t Header() const;

	size_t size_;
	size_t page_;
	uint64_t *consumer_ = nullptr;
	uint64_t *producer_ = nullptr;
	uint8_t *data_ = nullptr;
	uint64_t position_ = 0;
};

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
#include "ring_reader.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace weir
{

RingReader::RingReader(const Map &map) : size_(map.info.max_entries), page_(static_cast<size_t>(sysconf(_SC_PAGESIZE)))
{
	if (map.info.type != BPF_MAP_TYPE_RINGBUF)
		Throw("ring buffer open", EINVAL, "this map is no ring buffer");
	void *consumer = mmap(nullptr, page_, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd.get(), 0);
	if (consumer == MAP_FAILED)
		ThrowErrno("ring buffer open", "consumer page");
	void *producer =
		mmap(nullptr, page_ + 2 * size_, PROT_READ, MAP_SHARED, map.fd.get(), static_cast<off_t>(page_));
	if (producer == MAP_FAILED) {
		const int err = errno;
		munmap(consumer, page_);
		Throw("ring buffer open", err, "data pages");
	}
	consumer_ = static_cast<uint64_t *>(consumer);
	producer_ = static_cast<uint64_t *>(producer);
	data_ = static_cast<uint8_t *>(producer) + page_;
	position_ = __atomic_load_n(consumer_, __ATOMIC_ACQUIRE);
}

RingReader::~RingReader()
{
	munmap(consumer_, page_);
	munmap(producer_, page_ + 2 * size_);
}

uint32_t RingReader::Header() const
{
	return __atomic_load_n(reinterpret_cast<const uint32_t *>(data_ + (position_ & (size_ - 1))), __ATOMIC_ACQUIRE);
}

bool RingReader::Next(uint64_t end, const uint8_t **data, uint32_t *size) const
{
	if (position_ >= end)
		return false;
	const uint32_t header = Header();
	if (header & BPF_RINGBUF_BUSY_BIT)
		return false;
	*size = header & ~(uint32_t{BPF_RINGBUF_BUSY_BIT} | uint32_t{BPF_RINGBUF_DISCARD_BIT});
	*data = header & BPF_RINGBUF_DISCARD_BIT ? nullptr : data_ + (position_ & (size_ - 1)) + BPF_RINGBUF_HDR_SZ;
	return true;
}

void RingReader::Pass()
{
	const uint32_t length = Header() & ~(uint32_t{BPF_RINGBUF_BUSY_BIT} | uint32_t{BPF_RINGBUF_DISCARD_BIT});
	position_ += (uint64_t{length} + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// One thread per ring buffer: wakes every pollMs or when the kernel says that
// the buffer is filling up, encodes flow events into batches and hands each to
// JavaScript in one call. When JavaScript has maxQueued batches it has not
// finished, nothing more is taken out of the ring: then the kernel side runs
// out of room and counts what it loses. Nothing is dropped here.
#include "ringbuf.h"

#include <sys/epoll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "async.h"
#include "background.h"
#include "flow_encode.h"
#include "ring_reader.h"

namespace weir
{

namespace
{

constexpr uint32_t releaseEvery = 64; // records: the producers' cache line is touched that seldom
constexpr size_t oldestFlowBytes = offsetof(flow_event, xlated);
constexpr size_t rawBatchBytes = 256 * 1024;
constexpr int64_t clockEveryMs = 1000;

struct RingOptions {
	uint32_t batchMax;
	uint32_t flushMs;
	uint32_t pollMs;
	uint32_t maxQueued;
	bool wantsOthers; // events that are no flows go to JavaScript as they are
	uint64_t boot;
	uint64_t firstSeq;
	int64_t connectionOffset;
};

int64_t NowMs()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

struct Batch : Background::Post {
	bool flows = false;
	Bytes bytes;
	uint64_t firstSeq = 0;
	uint32_t count = 0;
	Bytes owners;
	void Deliver(Napi::Env env, Napi::Function callback) override
	{
		callback.Call(
			{Napi::Boolean::New(env, flows), ToBuffer(env, std::move(bytes)), Napi::Number::New(env, count),
				Napi::BigInt::New(env, firstSeq), ToBuffer(env, std::move(owners))});
	}
};

class Ring : public Background
{
public:
	Ring(std::shared_ptr<Map> map, const RingOptions &options)
	    : map_(std::move(map)), options_(options), reader_(*map_), encoder_(options.boot),
	      epoll_(epoll_create1(EPOLL_CLOEXEC)), nextSeq_(options.firstSeq)
	{
		// Edge-triggered: a level would be ready as soon as one record is there,
		// and this thread would run all the time instead of every pollMs.
		epoll_event ring{EPOLLIN | EPOLLET, {}};
		epoll_event wake{EPOLLIN, {}};
		if (epoll_.get() < 0 || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, map_->fd.get(), &ring) < 0 ||
			epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeFd(), &wake) < 0)
			ThrowErrno("ring buffer open");
		encoder_.Begin(options.firstSeq);
		offsets_.connection = options.connectionOffset;
	}

	void Run()
	{
		while (!stopping()) {
			epoll_event events[2];
			epoll_wait(epoll_.get(), events, 2, WaitMs());
			Background::Drain();
			ReadRing(reader_.End(), false);
			if (!FlushDue())
				return;
		}
		// What is there now is delivered; what comes later stays in the ring.
		ReadRing(reader_.End(), true);
		if (FlushFlows())
			FlushOthers();
	}

	// Main thread: JavaScript has finished with a batch.
	void Done()
	{
		if (queued_.fetch_sub(1) >= options_.maxQueued)
			Wake();
	}

	Napi::Value Stats(Napi::Env env) const
	{
		auto js = Napi::Object::New(env);
		js.Set("events", Napi::BigInt::New(env, events_.load()));
		js.Set("others", Napi::BigInt::New(env, others_.load()));
		js.Set("malformed", Napi::BigInt::New(env, malformed_.load()));
		js.Set("batches", Napi::BigInt::New(env, batches_.load()));
		js.Set("stalls", Napi::BigInt::New(env, stalls_.load()));
		js.Set("queued", Napi::Number::New(env, queued_.load()));
		js.Set("nextSeq", Napi::BigInt::New(env, nextSeq_.load()));
		return js;
	}

private:
	bool Room() const { return queued_.load() < options_.maxQueued; }

	int WaitMs() const
	{
		int64_t wait = options_.pollMs;
		if (pendingSince_ && Room())
			wait = std::min(wait, *pendingSince_ + options_.flushMs - NowMs());
		return static_cast<int>(std::max<int64_t>(wait, 0));
	}

	// Until `end`, or until JavaScript is too far behind.
	void ReadRing(uint64_t end, bool last)
	{
		const uint8_t *data;
		uint32_t size;
		uint32_t read = 0;
		MeasureClock();
		while (reader_.Next(end, &data, &size)) {
			if (FullBatch()) {
				if (!last && !Room()) {
					stalls_.fetch_add(1);
					break;
				}
				if (!FlushFull())
					break;
			}
			if (data)
				Take(data, size);
			reader_.Pass();
			if (++read % releaseEvery == 0)
				reader_.Release();
		}
		reader_.Release();
	}

	void Take(const uint8_t *data, uint32_t size)
	{
		event_header header;
		if (size < sizeof(header)) {
			malformed_.fetch_add(1);
			return;
		}
		memcpy(&header, data, sizeof(header));
		const bool flow = header.kind == EVENT_FLOW;
		if (header.version != WEIR_ABI_VERSION || header.size > size || header.size < sizeof(header) ||
			(flow && header.size < oldestFlowBytes)) {
			malformed_.fetch_add(1);
			return;
		}
		if (flow) {
			// programs of an older agent, which this one takes over, know fewer fields
			flow_event event = {};
			memcpy(&event, data, header.size < sizeof(event) ? header.size : sizeof(event));
			encoder_.Add(event, offsets_);
			events_.fetch_add(1, std::memory_order_relaxed);
		} else {
			others_.fetch_add(1, std::memory_order_relaxed);
			if (!options_.wantsOthers)
				return;
			raw_.insert(raw_.end(), data, data + header.size);
			rawCount_++;
		}
		if (!pendingSince_)
			pendingSince_ = NowMs();
	}

	bool FullBatch() const
	{
		return encoder_.count() >= options_.batchMax || rawCount_ >= options_.batchMax ||
		       raw_.size() >= rawBatchBytes;
	}

	bool FlushFull() { return encoder_.count() >= options_.batchMax ? FlushFlows() : FlushOthers(); }

	// False: JavaScript is gone.
	bool FlushDue()
	{
		if (!pendingSince_)
			return true;
		const bool due = FullBatch() || NowMs() - *pendingSince_ >= options_.flushMs;
		if (!due || !Room())
			return true;
		if (!FlushFlows())
			return false;
		// the last place may be taken now: these wait for the next
		return Room() ? FlushOthers() : true;
	}

	bool FlushFlows()
	{
		if (encoder_.count() == 0)
			return true;
		auto batch = std::make_unique<Batch>();
		batch->flows = true;
		batch->firstSeq = encoder_.firstSequence();
		batch->count = encoder_.count();
		batch->bytes = encoder_.Take();
		batch->owners = encoder_.TakeOwners();
		const uint64_t next = batch->firstSeq + batch->count;
		encoder_.Begin(next);
		nextSeq_.store(next);
		return Queue(std::move(batch));
	}

	bool FlushOthers()
	{
		if (rawCount_ == 0)
			return true;
		auto batch = std::make_unique<Batch>();
		batch->count = rawCount_;
		batch->bytes = std::move(raw_);
		raw_ = Bytes();
		rawCount_ = 0;
		return Queue(std::move(batch));
	}

	bool Queue(std::unique_ptr<Batch> batch)
	{
		pendingSince_.reset();
		if (encoder_.count() > 0 || rawCount_ > 0)
			pendingSince_ = NowMs();
		queued_.fetch_add(1);
		batches_.fetch_add(1);
		return Send(std::move(batch));
	}

	void MeasureClock()
	{
		const int64_t now = NowMs();
		if (clockMeasuredMs_ && now - *clockMeasuredMs_ < clockEveryMs)
			return;
		offsets_.now = MeasureClockOffset();
		clockMeasuredMs_ = now;
	}

	// the thread's own
	std::shared_ptr<Map> map_;
	const RingOptions options_;
	RingReader reader_;
	FlowEncoder encoder_;
	Bytes raw_;
	uint32_t rawCount_ = 0;
	ClockOffsets offsets_;
	std::optional<int64_t> clockMeasuredMs_;
	std::optional<int64_t> pendingSince_; // when the oldest event came that was not handed on
	Fd epoll_;
	// read by the main thread
	std::atomic<uint64_t> nextSeq_;
	std::atomic<uint64_t> events_{0};
	std::atomic<uint64_t> others_{0};
	std::atomic<uint64_t> malformed_{0};
	std::atomic<uint64_t> batches_{0};
	std::atomic<uint64_t> stalls_{0};
	std::atomic<uint32_t> queued_{0};
};

// ringOpen(map, options, callback(isFlows, bytes, count, firstSeq, owners))
Napi::Value Open(const Napi::CallbackInfo &info)
{
	auto js = info[1].As<Napi::Object>();
	RingOptions options{};
	options.batchMax = std::max(GetU32(js.Get("batchMax"), "batchMax"), 1U);
	options.flushMs = GetU32(js.Get("flushMs"), "flushMs");
	options.pollMs = std::clamp(GetU32(js.Get("pollMs"), "pollMs"), 1U, 60000U);
	options.maxQueued = std::max(GetU32(js.Get("maxQueued"), "maxQueued"), 1U);
	options.wantsOthers = GetBool(js.Get("wantsOthers"));
	options.boot = GetU64(js.Get("boot"), "boot");
	options.firstSeq = GetU64(js.Get("firstSeq"), "firstSeq");
	options.connectionOffset = static_cast<int64_t>(GetU64(js.Get("connectionOffset"), "connectionOffset"));
	auto ring = std::make_shared<Ring>(Use<Map>(info[0], "ring buffer open"), options);
	ring->Start(
		info.Env(), "weir ring buffer", info[2].As<Napi::Function>(), [thread = ring.get()] { thread->Run(); });
	return MakeHandle(info.Env(), ring);
}

// ringDone(ring): one batch is finished.
Napi::Value Done(const Napi::CallbackInfo &info)
{
	Use<Ring>(info[0], "ring buffer")->Done();
	return info.Env().Undefined();
}

Napi::Value Stats(const Napi::CallbackInfo &info)
{
	return Use<Ring>(info[0], "ring buffer")->Stats(info.Env());
}

Napi::Value ClockOffset(const Napi::CallbackInfo &info)
{
	return Napi::BigInt::New(info.Env(), MeasureClockOffset());
}

} // namespace

void InitRing(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "ringOpen", Open);
	Export(env, exports, "ringDone", Done);
	Export(env, exports, "ringStats", Stats);
	Export(env, exports, "clockOffset", ClockOffset);
}

} // namespace weir

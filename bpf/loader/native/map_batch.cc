// SPDX-License-Identifier: Apache-2.0
//
// Many elements in one go, always on a worker. Where the kernel has no batch
// operation for a map type a loop does the same.
#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

#include "async.h"
#include "map.h"

namespace weir
{

namespace
{

constexpr uint32_t chunkElements = 4096; // bytes copied per system call stay in the cache
constexpr uint32_t firstElements = 128; // most maps hold few: room for many would have to be cleared first

struct Elements {
	Bytes keys;
	Bytes values;
	uint32_t count = 0;
};

bool BatchUnsupported(int err)
{
	return err == ENOTSUP || err == EOPNOTSUPP || err == EINVAL;
}

void WalkAll(const Map &map, Elements &out)
{
	const size_t keySize = map.info.key_size;
	Bytes key(keySize);
	Bytes next(keySize);
	Bytes value(map.stride);
	// A key deleted meanwhile makes the kernel start over: bounded, so it ends.
	const uint64_t limit = uint64_t{map.info.max_entries} * 2 + 16;
	const void *previous = nullptr;
	for (uint64_t step = 0; step < limit; step++) {
		if (bpf_map_get_next_key(map.fd.get(), previous, next.data()) < 0) {
			if (errno == ENOENT)
				return;
			ThrowErrno("map walk");
		}
		if (bpf_map_lookup_elem(map.fd.get(), next.data(), value.data()) == 0) {
			out.keys.insert(out.keys.end(), next.begin(), next.end());
			out.values.insert(out.values.end(), value.begin(), value.end());
			out.count++;
		} else if (errno != ENOENT) {
			ThrowErrno("map walk");
		}
		key.swap(next);
		previous = key.data();
	}
	Throw("map walk", EAGAIN, "the map changed faster than it could be read");
}

Elements LookupAll(const Map &map)
{
	const size_t keySize = map.info.key_size;
	Elements out;
	// The cursor is a bucket number or, for tries, a key.
	Bytes cursor(std::max<size_t>(keySize, 8));
	Bytes nextCursor(cursor.size());
	uint32_t chunk = std::min(firstElements, std::max(map.info.max_entries, 1U));
	bool first = true;
	uint32_t stuck = 0;
	for (;;) {
		const size_t keysAt = out.keys.size();
		const size_t valuesAt = out.values.size();
		out.keys.resize(keysAt + size_t{chunk} * keySize);
		out.values.resize(valuesAt + size_t{chunk} * map.stride);
		uint32_t count = chunk;
		const int result = bpf_map_lookup_batch(map.fd.get(), first ? nullptr : cursor.data(),
			nextCursor.data(), out.keys.data() + keysAt, out.values.data() + valuesAt, &count, nullptr);
		const int err = result < 0 ? errno : 0;
		if (err && err != ENOENT && err != EINTR)
			count = 0;
		count = std::min(count, chunk);
		out.keys.resize(keysAt + size_t{count} * keySize);
		out.values.resize(valuesAt + size_t{count} * map.stride);
		out.count += count;
		if (err == ENOENT)
			return out;
		// a cursor that was deleted meanwhile makes some types start over
		if (out.count > uint64_t{map.info.max_entries} * 2 + chunkElements)
			Throw("map batch lookup", EAGAIN, "the map changed faster than it could be read");
		if (err == ENOSPC && chunk < map.info.max_entries) {
			chunk = std::min(chunk * 2, map.info.max_entries); // one bucket holds more than the chunk
			continue;
		}
		if (err == EINTR && count == 0 && stuck++ < 100)
			continue;
		if (first && BatchUnsupported(err)) {
			WalkAll(map, out);
			return out;
		}
		if (err && err != EINTR)
			Throw("map batch lookup", err);
		first = false;
		cursor.swap(nextCursor);
		chunk = std::max(chunk, std::min(chunk * 4, chunkElements));
	}
}

// mapLookupAll(map) -> {keys, values, count}
Napi::Value JsLookupAll(const Napi::CallbackInfo &info)
{
	auto map = Use<Map>(info[0], "map batch lookup");
	return Async(info.Env(), [map] {
		auto elements = std::make_shared<Elements>(LookupAll(*map));
		return Finish([elements](Napi::Env env) {
			auto js = Napi::Object::New(env);
			js.Set("keys", ToBuffer(env, std::move(elements->keys)));
			js.Set("values", ToBuffer(env, std::move(elements->values)));
			js.Set("count", Napi::Number::New(env, elements->count));
			return js;
		});
	});
}

// mapUpdateBatch(map, keys, values, count, flags): what was written before an
// error stays written; the message says how much that is.
Napi::Value UpdateBatch(const Napi::CallbackInfo &info)
{
	auto map = Use<Map>(info[0], "map batch update");
	const uint32_t total = GetU32(info[3], "count");
	GetView(info[1], "keys", size_t{total} * map->info.key_size);
	GetView(info[2], "values", size_t{total} * map->stride);
	return Async(info.Env(), [map, total, keys = GetBytes(info[1], "keys"), values = GetBytes(info[2], "values"),
					 flags = GetU32(info[4], "flags", 0)] {
		const int fd = map->fd.get();
		const size_t keySize = map->info.key_size;
		bpf_map_batch_opts options{};
		options.sz = sizeof(options);
		options.elem_flags = flags;
		bool loop = map->info.type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
		uint32_t done = 0;
		while (done < total) {
			const void *key = keys.data() + done * keySize;
			const void *value = values.data() + done * map->stride;
			if (loop) {
				if (bpf_map_update_elem(fd, key, value, flags) < 0)
					ThrowErrno("map batch update",
						std::to_string(done) + " of " + std::to_string(total) + " written");
				done++;
				continue;
			}
			uint32_t count = std::min(chunkElements, total - done);
			if (bpf_map_update_batch(fd, key, value, &count, &options) == 0) {
				done += count;
				continue;
			}
			if (!BatchUnsupported(errno))
				done += std::min(count, total - done); // that many were written
			loop = true; // meets the element that is refused again, or does without batches
		}
		return Nothing();
	});
}

// mapDeleteBatch(map, keys, count) -> how many were there
Napi::Value DeleteBatch(const Napi::CallbackInfo &info)
{
	auto map = Use<Map>(info[0], "map batch delete");
	const uint32_t total = GetU32(info[2], "count");
	GetView(info[1], "keys", size_t{total} * map->info.key_size);
	return Async(info.Env(), [map, total, keys = GetBytes(info[1], "keys")] {
		const int fd = map->fd.get();
		const size_t keySize = map->info.key_size;
		bool loop = false;
		uint32_t done = 0;
		uint32_t deleted = 0;
		while (done < total) {
			const void *key = keys.data() + done * keySize;
			uint32_t count = std::min(chunkElements, total - done);
			if (!loop) {
				if (bpf_map_delete_batch(fd, key, &count, nullptr) == 0) {
					done += count;
					deleted += count;
					continue;
				}
				if (BatchUnsupported(errno)) {
					loop = true;
					continue;
				}
				if (errno != ENOENT)
					ThrowErrno("map batch delete");
				// `count` keys went, the next one was not there
				done += count + 1;
				deleted += count;
				continue;
			}
			if (bpf_map_delete_elem(fd, key) == 0)
				deleted++;
			else if (errno != ENOENT)
				ThrowErrno("map batch delete");
			done++;
		}
		return Finish([deleted](Napi::Env env) { return Napi::Number::New(env, deleted); });
	});
}

} // namespace

void InitMapBatch(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "mapLookupAll", JsLookupAll);
	Export(env, exports, "mapUpdateBatch", UpdateBatch);
	Export(env, exports, "mapDeleteBatch", DeleteBatch);
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// May a program built today use a map pinned yesterday? Only when every number
// of its shape is the same; the error names the one that is not.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "object_load.h"

namespace weir
{

namespace
{

[[noreturn]] void Differ(const std::string &path, const std::string &field, uint64_t pinned, uint64_t wanted)
{
	Throw("pinned map reuse", EEXIST,
		"incompatible pinned map " + path + ": " + field + " is " + std::to_string(pinned) +
			", the object declares " + std::to_string(wanted));
}

// The kernel adds this flag to device maps by itself.
uint32_t ComparedFlags(uint32_t type, uint32_t flags)
{
	const bool device = type == BPF_MAP_TYPE_DEVMAP || type == BPF_MAP_TYPE_DEVMAP_HASH;
	return device ? flags & ~uint32_t{BPF_F_RDONLY_PROG} : flags;
}

void CheckShape(const bpf_map_info &pinned, const MapDefinition &wanted, const std::string &path,
	const std::string &prefix, bool entries)
{
	if (pinned.type != wanted.type)
		Differ(path, prefix + "type", pinned.type, wanted.type);
	if (pinned.key_size != wanted.key_size)
		Differ(path, prefix + "key size", pinned.key_size, wanted.key_size);
	if (pinned.value_size != wanted.value_size)
		Differ(path, prefix + "value size", pinned.value_size, wanted.value_size);
	// 0: the number of CPUs, chosen when the map is made
	if (entries && wanted.max_entries != 0 && pinned.max_entries != wanted.max_entries)
		Differ(path, prefix + "max_entries", pinned.max_entries, wanted.max_entries);
	const uint32_t flags = ComparedFlags(pinned.type, pinned.map_flags);
	if (flags != ComparedFlags(wanted.type, wanted.flags))
		Differ(path, prefix + "flags", flags, wanted.flags);
}

// Every key of an array is there, and before 6.8 each look at one waits for all
// programs under way, ten milliseconds or more: an array that is filled from its
// front is known by its first elements.
constexpr uint64_t kElementsOfArray = 4;

std::shared_ptr<Map> AnyInner(const Map &outer)
{
	const bool array = outer.info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
	const uint64_t most = array ? kElementsOfArray : uint64_t{outer.info.max_entries} + 1;
	Bytes key(outer.info.key_size);
	Bytes next(outer.info.key_size);
	const void *previous = nullptr;
	for (uint64_t step = 0; step < most; step++) {
		if (bpf_map_get_next_key(outer.fd.get(), previous, next.data()) < 0)
			return nullptr;
		uint32_t id = 0;
		if (bpf_map_lookup_elem(outer.fd.get(), next.data(), &id) == 0) {
			const int fd = bpf_map_get_fd_by_id(id);
			if (fd >= 0)
				return AdoptMap(fd, "pinned map reuse");
		}
		key.swap(next);
		previous = key.data();
	}
	return nullptr;
}

// An empty outer map: the kernel compares an inner map's shape before it looks
// for the key, so BPF_EXIST on a key that is absent asks without changing
// anything. Arrays refuse that flag; there an empty one is harmless to reuse
// only if the next insert works, which then says so itself. Kernels before 6.2
// take a map with types (BTF) and one without for different shapes, even where the
// types say nothing that matters: either will do, since either is what inserts try.
void AskKernel(const Map &outer, const MapDefinition &inner, const std::string &path)
{
	if (outer.info.type != BPF_MAP_TYPE_HASH_OF_MAPS)
		return;
	const Bytes key(outer.info.key_size, 0xff);
	MapDefinition untyped = inner;
	untyped.btf = nullptr;
	const auto refused = [&](const MapDefinition &definition) {
		const Fd probe = CreateMap(definition, "weir_probe");
		const int fd = probe.get();
		return bpf_map_update_elem(outer.fd.get(), key.data(), &fd, BPF_EXIST) < 0 && errno == EINVAL;
	};
	if (refused(inner) && refused(untyped))
		Throw("pinned map reuse", EEXIST,
			"incompatible pinned map " + path +
				": its inner maps have another shape than the object declares");
}

} // namespace

void CheckCompatible(
	const Map &pinned, const MapDefinition &wanted, const MapDefinition *inner, const std::string &path)
{
	CheckShape(pinned.info, wanted, path, "", true);
	if (!inner)
		return;
	if (auto existing = AnyInner(pinned))
		CheckShape(existing->info, *inner, path, "inner ", false);
	else
		AskKernel(pinned, *inner, path);
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// A map by its descriptor. Sizes come from the kernel, never from the caller:
// they decide how many bytes the kernel reads and writes behind our pointers.
#pragma once

#include <linux/bpf.h>

#include <memory>
#include <optional>
#include <string>

#include "args.h"
#include "handle.h"

namespace weir
{

// What bpf_map_create needs; kept with a map of maps to make its inner maps.
struct MapDefinition {
	uint32_t type = 0;
	uint32_t key_size = 0;
	uint32_t value_size = 0;
	uint32_t max_entries = 0;
	uint32_t flags = 0;
	uint64_t extra = 0;
	uint32_t btf_key_type_id = 0;
	uint32_t btf_value_type_id = 0;
	std::shared_ptr<Fd> btf; // may be null
};

struct Map : Resource {
	Fd fd;
	bpf_map_info info{};
	size_t stride = 0; // bytes of one value in user space: per-CPU maps have one per possible CPU
	std::optional<MapDefinition> inner;
};

// Takes ownership of fd.
std::shared_ptr<Map> AdoptMap(int fd, const char *op);

bool IsPerCpu(uint32_t type);
bool IsMapOfMaps(uint32_t type);

// A new map; tried again without BTF when the kernel refuses it for this type.
Fd CreateMap(const MapDefinition &definition, const std::string &name);

Napi::Object MapToJs(Napi::Env env, const std::shared_ptr<Map> &map);

void InitMap(Napi::Env env, Napi::Object exports);
void InitMapBatch(Napi::Env env, Napi::Object exports);

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
#include "map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <cerrno>

#include "async.h"
#include "program.h"

namespace weir
{

namespace
{

const void *OrNull(const View &view)
{
	return view.size == 0 ? nullptr : view.data;
}

// mapLookup(map, key, flags) -> Buffer | undefined
Napi::Value Lookup(const Napi::CallbackInfo &info)
{
	auto map = Use<Map>(info[0], "map lookup");
	const View key = GetView(info[1], "key", map->info.key_size);
	auto value = Napi::Buffer<uint8_t>::New(info.Env(), map->stride);
	if (bpf_map_lookup_elem_flags(map->fd.get(), OrNull(key), value.Data(), GetU32(info[2], "flags", 0)) < 0) {
		if (errno == ENOENT)
			return info.Env().Undefined();
		ThrowErrno("map lookup");
	}
	return value;
}

// mapUpdate(map, key, value, flags)
Napi::Value Update(const Napi::CallbackInfo &info)
{
	auto map = Use<Map>(info[0], "map update");
	const View key = GetView(info[1], "key", map->info.key_size);
	const View value = GetView(info[2], "value", map->stride);
	if (bpf_map_update_elem(map->fd.get(), OrNull(key), value.data, GetU32(info[3], "flags", 0)) < 0)
		ThrowErrno("map update");
	return info.Env().Undefined();
}

// mapUpdateFd(map, key, map or program): the kernel takes its own reference.
Napi::Value UpdateFd(const Napi::CallbackInfo &info)
{
	auto map = Use<Map>(info[0], "map update");
	const View key = GetView(info[1], "key", map->info.key_size);
	auto resource = UseHandle(info[2], "map update");
	int fd = -1;
	if (auto inner = std::dynamic_pointer_cast<Map>(resource))
		fd = inner->fd.get();
	else if (auto program = std::dynamic_pointer_cast<Program>(resource))
		fd = program->fd.get();
	if (fd < 0 || map->stride != sizeof(fd))
		Throw("map update", EINVAL, "this map does not hold descriptors of that kind");
	if (bpf_map_update_elem(map->fd.get(), OrNull(key), &fd, BPF_ANY) < 0)
		ThrowErrno("map update");
	return info.Env().Undefined();
}

// mapDelete(map, key) -> was it there
Napi::Value Delete(const Napi::CallbackInfo &info)
{
	auto map = Use<Map>(info[0], "map delete");
	const View key = GetView(info[1], "key", map->info.key_size);
	if (bpf_map_delete_elem(map->fd.get(), OrNull(key)) == 0)
		return Napi::Boolean::New(info.Env(), true);
	if (errno != ENOENT)
		ThrowErrno("map delete");
	return Napi::Boolean::New(info.Env(), false);
}

// mapPop(map) -> Buffer | undefined: takes from a queue, a stack or, by key, from a hash.
Napi::Value Pop(const Napi::CallbackInfo &info)
{
	auto map = Use<Map>(info[0], "map pop");
	const View key = GetView(info[1], "key", map->info.key_size);
	auto value = Napi::Buffer<uint8_t>::New(info.Env(), map->stride);
	if (bpf_map_lookup_and_delete_elem(map->fd.get(), OrNull(key), value.Data()) < 0) {
		if (errno == ENOENT)
			return info.Env().Undefined();
		ThrowErrno("map pop");
	}
	return value;
}

// mapFreeze(map): no more changes from user space.
Napi::Value Freeze(const Napi::CallbackInfo &info)
{
	if (bpf_map_freeze(Use<Map>(info[0], "map freeze")->fd.get()) < 0)
		ThrowErrno("map freeze");
	return info.Env().Undefined();
}

// mapCreate({type, keySize, valueSize, maxEntries, flags}, name)
Napi::Value Create(const Napi::CallbackInfo &info)
{
	auto options = info[0].As<Napi::Object>();
	MapDefinition definition;
	definition.type = GetU32(options.Get("type"), "type");
	definition.key_size = GetU32(options.Get("keySize"), "keySize");
	definition.value_size = GetU32(options.Get("valueSize"), "valueSize");
	definition.max_entries = GetU32(options.Get("maxEntries"), "maxEntries");
	definition.flags = GetU32(options.Get("flags"), "flags", 0);
	return Async(info.Env(), [definition, name = GetString(info[1], "name")] {
		auto map = AdoptMap(CreateMap(definition, name).release(), "map create");
		return Finish([map](Napi::Env env) { return MapToJs(env, map); });
	});
}

// mapCreateInner(outer, name, maxEntries)
Napi::Value CreateInner(const Napi::CallbackInfo &info)
{
	auto outer = Use<Map>(info[0], "inner map create");
	return Async(
		info.Env(), [outer, name = GetString(info[1], "name"), entries = GetU32(info[2], "maxEntries", 0)] {
			if (!outer->inner)
				Throw("inner map create", EINVAL, "the definition of its inner maps is not known");
			MapDefinition definition = *outer->inner;
			if (entries)
				definition.max_entries = entries;
			auto map = AdoptMap(CreateMap(definition, name).release(), "inner map create");
			return Finish([map](Napi::Env env) { return MapToJs(env, map); });
		});
}

// mapById(id)
Napi::Value ById(const Napi::CallbackInfo &info)
{
	const int fd = bpf_map_get_fd_by_id(GetU32(info[0], "id"));
	if (fd < 0)
		ThrowErrno("map open");
	return MapToJs(info.Env(), AdoptMap(fd, "map open"));
}

// mapByPath(path)
Napi::Value ByPath(const Napi::CallbackInfo &info)
{
	const std::string path = GetString(info[0], "path");
	const int fd = bpf_obj_get(path.c_str());
	if (fd < 0)
		ThrowErrno("map open", path);
	return MapToJs(info.Env(), AdoptMap(fd, "map open"));
}

} // namespace

bool IsPerCpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

bool IsMapOfMaps(uint32_t type)
{
	return type == BPF_MAP_TYPE_HASH_OF_MAPS || type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
}

std::shared_ptr<Map> AdoptMap(int fd, const char *op)
{
	auto map = std::make_shared<Map>();
	map->fd = Fd(fd);
	uint32_t length = sizeof(map->info);
	if (bpf_obj_get_info_by_fd(fd, &map->info, &length) < 0)
		ThrowErrno(op, "this is no map");
	// A program's or link's info would be taken for a map's: ask the kernel what it is.
	char link[64]{};
	const std::string self = "/proc/self/fd/" + std::to_string(fd);
	if (readlink(self.c_str(), link, sizeof(link) - 1) < 0 ||
		std::string(link).find("bpf-map") == std::string::npos)
		Throw(op, EINVAL, "this is no map");
	map->stride = map->info.value_size;
	if (IsPerCpu(map->info.type)) {
		const int cpus = libbpf_num_possible_cpus();
		if (cpus <= 0)
			Throw(op, -cpus, "the number of possible CPUs is not known");
		map->stride = (size_t{map->info.value_size} + 7) / 8 * 8 * static_cast<size_t>(cpus);
	}
	return map;
}

Fd CreateMap(const MapDefinition &definition, const std::string &name)
{
	const std::string kernelName = name.substr(0, BPF_OBJ_NAME_LEN - 1);
	bpf_map_create_opts options{};
	options.sz = sizeof(options);
	options.map_flags = definition.flags;
	options.map_extra = definition.extra;
	int fd = -1;
	if (definition.btf) {
		options.btf_fd = static_cast<uint32_t>(definition.btf->get());
		options.btf_key_type_id = definition.btf_key_type_id;
		options.btf_value_type_id = definition.btf_value_type_id;
		fd = bpf_map_create(static_cast<bpf_map_type>(definition.type), kernelName.c_str(), definition.key_size,
			definition.value_size, definition.max_entries, &options);
		options.btf_fd = options.btf_key_type_id = options.btf_value_type_id = 0;
	}
	if (fd < 0)
		fd = bpf_map_create(static_cast<bpf_map_type>(definition.type), kernelName.c_str(), definition.key_size,
			definition.value_size, definition.max_entries, &options);
	if (fd < 0)
		ThrowErrno("map create", name);
	return Fd(fd);
}

Napi::Object MapToJs(Napi::Env env, const std::shared_ptr<Map> &map)
{
	auto js = Napi::Object::New(env);
	js.Set("handle", MakeHandle(env, map));
	js.Set("name", Napi::String::New(env, map->info.name));
	js.Set("type", Napi::Number::New(env, map->info.type));
	js.Set("keySize", Napi::Number::New(env, map->info.key_size));
	js.Set("valueSize", Napi::Number::New(env, map->info.value_size));
	js.Set("maxEntries", Napi::Number::New(env, map->info.max_entries));
	js.Set("flags", Napi::Number::New(env, map->info.map_flags));
	js.Set("stride", Napi::Number::New(env, static_cast<double>(map->stride)));
	js.Set("id", Napi::Number::New(env, map->info.id));
	js.Set("fd", Napi::Number::New(env, map->fd.get()));
	return js;
}

void InitMap(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "mapLookup", Lookup);
	Export(env, exports, "mapUpdate", Update);
	Export(env, exports, "mapUpdateFd", UpdateFd);
	Export(env, exports, "mapDelete", Delete);
	Export(env, exports, "mapPop", Pop);
	Export(env, exports, "mapFreeze", Freeze);
	Export(env, exports, "mapCreate", Create);
	Export(env, exports, "mapCreateInner", CreateInner);
	Export(env, exports, "mapById", ById);
	Export(env, exports, "mapByPath", ByPath);
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
#include "object_load.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include "error.h"

namespace weir
{

namespace
{

using ObjectPtr = std::shared_ptr<bpf_object>;

ObjectPtr Open(const LoadRequest &request, const LogCapture &log)
{
	bpf_object_open_opts options{};
	options.sz = sizeof(options);
	options.object_name = request.name.c_str();
	bpf_object *object = request.path.empty()
	                             ? bpf_object__open_mem(request.image.data(), request.image.size(), &options)
	                             : bpf_object__open_file(request.path.c_str(), &options);
	if (!object)
		Throw("object open", errno, "", log.text());
	return ObjectPtr(object, bpf_object__close);
}

// libbpf names an internal map by object and section; sections alone are stable.
std::string NameOf(const bpf_map *map)
{
	const std::string name = bpf_map__name(map);
	const auto dot = name.find('.');
	return bpf_map__is_internal(map) && dot != std::string::npos ? name.substr(dot) : name;
}

MapDefinition DefinitionOf(const bpf_map *map, const std::shared_ptr<Fd> &btf)
{
	MapDefinition definition;
	definition.type = bpf_map__type(map);
	definition.key_size = bpf_map__key_size(map);
	definition.value_size = bpf_map__value_size(map);
	definition.max_entries = bpf_map__max_entries(map);
	definition.flags = bpf_map__map_flags(map);
	definition.extra = bpf_map__map_extra(map);
	definition.btf_key_type_id = bpf_map__btf_key_type_id(map);
	definition.btf_value_type_id = bpf_map__btf_value_type_id(map);
	definition.btf = btf;
	return definition;
}

void SetMaxEntries(bpf_object *object, const LoadRequest &request)
{
	for (const auto &[name, entries] : request.maxEntries) {
		bpf_map *map = bpf_object__find_map_by_name(object, name.c_str());
		if (!map)
			Throw("object open", ENOENT,
				"maxEntries names map '" + name + "', which the object does not have");
		if (bpf_map__set_max_entries(map, entries) < 0)
			ThrowErrno("object open", "maxEntries of map '" + name + "'");
	}
}

// Writes the initial values of global variables before the object is loaded.
void SetVariables(bpf_object *object, const LoadRequest &request)
{
	const btf *types = bpf_object__btf(object);
	for (const auto &[name, bytes] : request.rodata) {
		bool found = false;
		bpf_map *map = nullptr;
		bpf_object__for_each_map(map, object)
		{
			const int section =
				!found && bpf_map__is_internal(map) && types
					? btf__find_by_name_kind(types, NameOf(map).c_str(), BTF_KIND_DATASEC)
					: -1;
			if (section <= 0)
				continue;
			const btf_type *datasec = btf__type_by_id(types, static_cast<uint32_t>(section));
			const btf_var_secinfo *variable = btf_var_secinfos(datasec);
			for (int i = 0; i < btf_vlen(datasec); i++, variable++) {
				const btf_type *type = btf__type_by_id(types, variable->type);
				if (name != btf__name_by_offset(types, type->name_off))
					continue;
				if (variable->size != bytes.size())
					Throw("object open", EINVAL,
						"variable '" + name + "' has " + std::to_string(variable->size) +
							" bytes, " + std::to_string(bytes.size()) + " were given");
				size_t size = 0;
				const auto *initial = static_cast<const uint8_t *>(bpf_map__initial_value(map, &size));
				if (!initial || size_t{variable->offset} + variable->size > size)
					Throw("object open", EINVAL, "variable '" + name + "' has no initial value");
				Bytes value(initial, initial + size);
				memcpy(value.data() + variable->offset, bytes.data(), bytes.size());
				if (bpf_map__set_initial_value(map, value.data(), value.size()) < 0)
					ThrowErrno("object open", "variable '" + name + "'");
				found = true;
				break;
			}
		}
		if (!found)
			Throw("object open", ENOENT, "the object has no global variable '" + name + "'");
	}
}

void SetAutoload(bpf_object *object, const LoadRequest &request)
{
	if (!request.autoload)
		return;
	bpf_program *program = nullptr;
	bpf_object__for_each_program(program, object)
	{
		const auto &wanted = *request.autoload;
		const bool load = std::find(wanted.begin(), wanted.end(), bpf_program__name(program)) != wanted.end();
		bpf_program__set_autoload(program, load);
	}
	for (const auto &name : *request.autoload)
		if (!bpf_object__find_program_by_name(object, name.c_str()))
			Throw("object open", ENOENT,
				"autoload names program '" + name + "', which the object does not have");
}

struct PinPlan {
	std::string path; // empty = not pinned
	bool reused = false;
	bool replace = false; // something else is pinned there
	std::optional<MapDefinition> inner;
};

// The object's types, loaded for their own sake. Null when the kernel does not take them as they are.
std::shared_ptr<Fd> LoadTypes(const bpf_object *object)
{
	const btf *types = bpf_object__btf(object);
	uint32_t size = 0;
	const void *data = types ? btf__raw_data(types, &size) : nullptr;
	const int fd = data ? bpf_btf_load(data, size, nullptr) : -1;
	return fd < 0 ? nullptr : std::make_shared<Fd>(fd);
}

PinPlan PlanPin(const bpf_object *object, bpf_map *map, const LoadRequest &request)
{
	PinPlan plan;
	const std::string name = NameOf(map);
	bpf_map__set_pin_path(map, nullptr); // never by libbpf
	if (bpf_map *inner = bpf_map__inner_map(map))
		plan.inner = DefinitionOf(inner, nullptr);
	if (request.pinDir.empty() || bpf_map__is_internal(map))
		return plan;
	if (request.pins && std::find(request.pins->begin(), request.pins->end(), name) == request.pins->end())
		return plan;
	plan.path = request.pinDir + "/" + name;
	const int fd = bpf_obj_get(plan.path.c_str());
	if (fd < 0) {
		if (errno != ENOENT)
			ThrowErrno("pinned map open", plan.path);
		return plan;
	}
	auto pinned = AdoptMap(fd, "pinned map open");
	plan.replace = true;
	if (!request.reusePins)
		return plan;
	if (plan.inner)
		plan.inner->btf = LoadTypes(object);
	try {
		CheckCompatible(*pinned, DefinitionOf(map, nullptr), plan.inner ? &*plan.inner : nullptr, plan.path);
	} catch (const KernelError &) {
		if (!request.replaceIncompatible)
			throw;
		return plan;
	}
	if (bpf_map__reuse_fd(map, pinned->fd.get()) < 0)
		ThrowErrno("pinned map reuse", plan.path);
	plan.reused = true;
	plan.replace = false;
	return plan;
}

int Duplicate(int fd, const char *what)
{
	const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		ThrowErrno("object load", what);
	return copy;
}

} // namespace

void PinOver(int fd, const std::string &path)
{
	const std::string temporary = path + "-next";
	unlink(temporary.c_str());
	if (bpf_obj_pin(fd, temporary.c_str()) < 0)
		ThrowErrno("pin", temporary);
	if (rename(temporary.c_str(), path.c_str()) < 0) {
		const int err = errno;
		unlink(temporary.c_str());
		Throw("pin", err, path);
	}
}

LoadedObject Load(const LoadRequest &request)
{
	LogCapture log;
	ObjectPtr object = Open(request, log);
	SetMaxEntries(object.get(), request);
	SetVariables(object.get(), request);
	SetAutoload(object.get(), request);
	if (!request.pinDir.empty()) {
		std::error_code error;
		std::filesystem::create_directories(request.pinDir, error);
		if (error)
			Throw("pin directory create", error.value(), request.pinDir);
	}
	std::map<std::string, PinPlan> plans;
	bpf_map *map = nullptr;
	bpf_object__for_each_map(map, object.get()) plans[NameOf(map)] = PlanPin(object.get(), map, request);

	if (const int result = bpf_object__load(object.get()); result < 0)
		Throw("object load", result, "", log.text());

	std::shared_ptr<Fd> types;
	if (bpf_object__btf_fd(object.get()) >= 0)
		types = std::make_shared<Fd>(Duplicate(bpf_object__btf_fd(object.get()), "BTF"));
	LoadedObject loaded;
	std::vector<std::string> pinnedHere;
	try {
		bpf_object__for_each_map(map, object.get())
		{
			if (bpf_map__fd(map) < 0)
				continue;
			const std::string name = NameOf(map);
			PinPlan &plan = plans[name];
			LoadedMap entry{name, AdoptMap(Duplicate(bpf_map__fd(map), name.c_str()), "object load"),
				plan.reused, ""};
			entry.map->inner = plan.inner;
			if (entry.map->inner)
				entry.map->inner->btf = types;
			if (plan.replace) {
				entry.pendingPin = plan.path;
			} else if (!plan.path.empty() && !plan.reused) {
				if (bpf_obj_pin(entry.map->fd.get(), plan.path.c_str()) < 0)
					ThrowErrno("pin", plan.path);
				pinnedHere.push_back(plan.path);
			}
			loaded.maps.push_back(std::move(entry));
		}
		bpf_program *program = nullptr;
		bpf_object__for_each_program(program, object.get())
		{
			if (bpf_program__fd(program) < 0)
				continue;
			auto entry = AdoptProgram(
				Duplicate(bpf_program__fd(program), bpf_program__name(program)), "object load");
			entry->name = bpf_program__name(program); // the kernel's is cut at 15 characters
			entry->section = bpf_program__section_name(program);
			loaded.programs.push_back(std::move(entry));
		}
	} catch (...) {
		for (const auto &path : pinnedHere)
			unlink(path.c_str());
		throw;
	}
	return loaded;
}

} // namespace weir

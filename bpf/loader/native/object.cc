// SPDX-License-Identifier: Apache-2.0
//
// JavaScript's side of loading: reads the options, runs Load on a worker, hands
// out maps and programs. Pins that wait for a commit stay in this handle.
#include "object.h"

#include <bpf/bpf.h>

#include <mutex>

#include "args.h"
#include "async.h"
#include "link.h"
#include "object_load.h"

namespace weir
{

namespace
{

// Maps that take the place of incompatible pins once the caller says so.
struct PendingPins : Resource {
	std::mutex mutex;
	std::vector<LoadedMap> maps;
};

std::vector<std::string> StringList(const Napi::Value &value, const char *what)
{
	std::vector<std::string> list;
	auto array = value.As<Napi::Array>();
	for (uint32_t i = 0; i < array.Length(); i++)
		list.push_back(GetString(array.Get(i), what));
	return list;
}

LoadRequest ReadRequest(const Napi::CallbackInfo &info)
{
	LoadRequest request;
	if (info[0].IsString())
		request.path = GetString(info[0], "path");
	else
		request.image = GetBytes(info[0], "object");
	auto options = info[1].As<Napi::Object>();
	request.name = GetString(options.Get("name"), "name");
	request.pinDir = GetOptionalString(options.Get("pinDir"), "pinDir");
	if (options.Get("pins").IsArray())
		request.pins = StringList(options.Get("pins"), "pins");
	request.reusePins = GetBool(options.Get("reusePins"), true);
	request.replaceIncompatible = GetBool(options.Get("replaceIncompatible"));
	if (options.Get("autoload").IsArray())
		request.autoload = StringList(options.Get("autoload"), "autoload");
	auto entries = options.Get("maxEntries").As<Napi::Array>(); // [[name, number]]
	for (uint32_t i = 0; i < entries.Length(); i++) {
		auto pair = entries.Get(i).As<Napi::Array>();
		request.maxEntries.emplace_back(
			GetString(pair.Get(0U), "map name"), GetU32(pair.Get(1U), "maxEntries"));
	}
	auto rodata = options.Get("rodata").As<Napi::Array>(); // [[name, bytes]]
	for (uint32_t i = 0; i < rodata.Length(); i++) {
		auto pair = rodata.Get(i).As<Napi::Array>();
		request.rodata.emplace_back(
			GetString(pair.Get(0U), "variable name"), GetBytes(pair.Get(1U), "variable value"));
	}
	return request;
}

Napi::Value ToJsObject(Napi::Env env, const LoadedObject &loaded)
{
	auto pending = std::make_shared<PendingPins>();
	auto maps = Napi::Array::New(env);
	for (const auto &entry : loaded.maps) {
		auto map = MapToJs(env, entry.map);
		map.Set("name", Napi::String::New(env, entry.name));
		map.Set("reused", Napi::Boolean::New(env, entry.reused));
		map.Set("pending", Napi::Boolean::New(env, !entry.pendingPin.empty()));
		maps.Set(maps.Length(), map);
		if (!entry.pendingPin.empty())
			pending->maps.push_back(entry);
	}
	auto programs = Napi::Array::New(env);
	for (const auto &program : loaded.programs)
		programs.Set(programs.Length(), ProgramToJs(env, program));
	auto js = Napi::Object::New(env);
	js.Set("handle", MakeHandle(env, pending));
	js.Set("maps", maps);
	js.Set("programs", programs);
	return js;
}

// objectOpen(path | image, options) -> {handle, maps, programs}
Napi::Value ObjectOpen(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [request = ReadRequest(info)] {
		auto loaded = std::make_shared<LoadedObject>(Load(request));
		return Finish([loaded](Napi::Env env) { return ToJsObject(env, *loaded); });
	});
}

// objectCommitPins(object): each map replaces its incompatible predecessor in one step.
Napi::Value CommitPins(const Napi::CallbackInfo &info)
{
	auto pending = Use<PendingPins>(info[0], "pins commit");
	return Async(info.Env(), [pending] {
		const std::lock_guard<std::mutex> lock(pending->mutex);
		while (!pending->maps.empty()) {
			const LoadedMap &entry = pending->maps.back();
			PinOver(entry.map->fd.get(), entry.pendingPin);
			pending->maps.pop_back();
		}
		return Nothing();
	});
}

// pin(map, program or link, path)
Napi::Value Pin(const Napi::CallbackInfo &info)
{
	auto resource = UseHandle(info[0], "pin");
	const std::string path = GetString(info[1], "path");
	const int fd = DescriptorOf(*resource);
	if (fd < 0 || bpf_obj_pin(fd, path.c_str()) < 0)
		ThrowErrno("pin", path);
	return info.Env().Undefined();
}

} // namespace

int DescriptorOf(const Resource &resource)
{
	if (const auto *map = dynamic_cast<const Map *>(&resource))
		return map->fd.get();
	if (const auto *program = dynamic_cast<const Program *>(&resource))
		return program->fd.get();
	if (const auto *link = dynamic_cast<const Link *>(&resource))
		return link->fd.get();
	errno = EBADF;
	return -1;
}

void InitObject(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "objectOpen", ObjectOpen);
	Export(env, exports, "objectCommitPins", CommitPins);
	Export(env, exports, "pin", Pin);
}

} // namespace weir

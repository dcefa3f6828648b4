// SPDX-License-Identifier: Apache-2.0
#include "handle.h"

#include <cerrno>

#include "async.h"

namespace weir
{

namespace
{

struct Box {
	std::shared_ptr<Resource> resource;
};

const napi_type_tag boxTag = {0x77656972206c6f61ULL, 0x6465722068616e64ULL};

Box *Unbox(const Napi::Value &value)
{
	if (!value.IsExternal() || !value.As<Napi::External<Box>>().CheckTypeTag(&boxTag))
		throw Napi::TypeError::New(value.Env(), "not a handle of this addon");
	return value.As<Napi::External<Box>>().Data();
}

// close(handle): true when this call closed it.
Napi::Value Close(const Napi::CallbackInfo &info)
{
	Box *box = Unbox(info[0]);
	const bool open = box->resource != nullptr;
	box->resource.reset();
	return Napi::Boolean::New(info.Env(), open);
}

Napi::Value IsOpen(const Napi::CallbackInfo &info)
{
	return Napi::Boolean::New(info.Env(), Unbox(info[0])->resource != nullptr);
}

} // namespace

Napi::Value MakeHandle(Napi::Env env, std::shared_ptr<Resource> resource)
{
	auto external =
		Napi::External<Box>::New(env, new Box{std::move(resource)}, [](Napi::Env, Box *box) { delete box; });
	external.TypeTag(&boxTag);
	return external;
}

std::shared_ptr<Resource> UseHandle(const Napi::Value &value, const char *op)
{
	Box *box = Unbox(value);
	if (!box->resource)
		Throw(op, EBADF, "it is closed");
	return box->resource;
}

void InitHandle(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "close", Close);
	Export(env, exports, "isOpen", IsOpen);
}

} // namespace weir

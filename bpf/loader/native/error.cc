// SPDX-License-Identifier: Apache-2.0
#include "error.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <vector>

namespace weir
{

namespace
{

thread_local std::string *sink = nullptr;

int Print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!sink || level == LIBBPF_DEBUG)
		return 0;
	va_list again;
	va_copy(again, args);
	const int length = vsnprintf(nullptr, 0, format, again);
	va_end(again);
	if (length <= 0)
		return 0;
	const size_t old = sink->size();
	sink->resize(old + static_cast<size_t>(length) + 1);
	vsnprintf(sink->data() + old, static_cast<size_t>(length) + 1, format, args);
	sink->resize(old + static_cast<size_t>(length));
	return length;
}

} // namespace

void InstallLogCapture()
{
	libbpf_set_print(Print);
}

LogCapture::LogCapture() : previous_(sink)
{
	sink = &text_;
}

LogCapture::~LogCapture()
{
	sink = previous_;
}

void Throw(const char *op, int err, std::string message, std::string log)
{
	throw KernelError{op, err < 0 ? -err : err, std::move(message), std::move(log)};
}

void ThrowErrno(const char *op, std::string message)
{
	const int err = errno;
	Throw(op, err, std::move(message));
}

Napi::Error ToJs(Napi::Env env, const KernelError &error)
{
	Napi::Error js = Napi::Error::New(env, error.message);
	js.Set("op", Napi::String::New(env, error.op));
	js.Set("errno", Napi::Number::New(env, error.err));
	js.Set("log", Napi::String::New(env, error.log));
	return js;
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// The two ways a native function is called: Export wraps a synchronous one so
// that a KernelError becomes a JavaScript exception; Async runs work on a libuv
// worker and settles a promise. Work must not touch JavaScript: it returns the
// function that builds the result on the main thread.
#pragma once

#include <napi.h>

#include <functional>

#include "error.h"

namespace weir
{

using Finish = std::function<Napi::Value(Napi::Env)>;
using Function = Napi::Value (*)(const Napi::CallbackInfo &);

Napi::Value Async(Napi::Env env, std::function<Finish()> work);

void Export(Napi::Env env, Napi::Object exports, const char *name, Function function);

inline Finish Nothing()
{
	return [](Napi::Env env) { return env.Undefined(); };
}

} // namespace weir

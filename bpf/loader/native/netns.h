// SPDX-License-Identifier: Apache-2.0
//
// A thread's network namespace is changed only in a thread made for it and
// ended with it: a libuv worker that came back in another namespace would send
// somebody else's request to the wrong host.
#pragma once

#include <napi.h>

#include <functional>
#include <string>

namespace weir
{

// Runs `work` in the namespace at `path`, or right here when path is empty.
// What `work` throws is thrown again to the caller.
void InNetns(const std::string &path, const std::function<void()> &work);

// Runs `work` in a new namespace that ends with it.
void InNewNetns(const std::function<void()> &work);

void InitNetns(Napi::Env env, Napi::Object exports);

} // namespace weir

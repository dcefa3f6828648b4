// SPDX-License-Identifier: Apache-2.0
//
// A program attached through a BPF link: it is detached when the last
// descriptor is closed and no pin is left, so a crash never leaves half an
// attachment behind, and a pin lets it outlive us on purpose.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "handle.h"

namespace weir
{

struct Link : Resource {
	Fd fd;
};

// Pins when path is not empty; closes the link again when that fails.
std::shared_ptr<Link> AdoptLink(int fd, const std::string &pinPath);

// What every attach function resolves to.
Napi::Object LinkToJs(Napi::Env env, const std::shared_ptr<Link> &link);

void InitLink(Napi::Env env, Napi::Object exports);
void InitPerf(Napi::Env env, Napi::Object exports);
void InitTc(Napi::Env env, Napi::Object exports);

} // namespace weir

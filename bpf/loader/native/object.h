// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include "handle.h"

namespace weir
{

// Of a map, program or link; -1 with errno EBADF for anything else.
int DescriptorOf(const Resource &resource);

void InitObject(Napi::Env env, Napi::Object exports);

} // namespace weir

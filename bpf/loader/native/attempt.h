// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

namespace weir
{

void InitAttempt(Napi::Env env, Napi::Object exports);

} // namespace weir

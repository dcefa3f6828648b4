// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace weir
{

// Where in the file a function begins; throws ENOENT when the binary has no such symbol.
uint64_t FunctionOffset(const std::string &path, const std::string &symbol);

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// A loaded program by its descriptor. The libbpf object it came from is gone:
// whatever attaches it needs no more than this.
#pragma once

#include <linux/bpf.h>

#include <memory>
#include <string>

#include "handle.h"

namespace weir
{

struct Program : Resource {
	Fd fd;
	bpf_prog_info info{};
	std::string name;
	std::string section;
};

// Takes ownership of fd.
std::shared_ptr<Program> AdoptProgram(int fd, const char *op);

Napi::Object ProgramToJs(Napi::Env env, const std::shared_ptr<Program> &program);

void InitProgram(Napi::Env env, Napi::Object exports);

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// A loaded program by its descriptor. `owner` is the libbpf object it came
// from, if any: attaching to a symbol of a binary or to a tracepoint uses
// libbpf's view of the program.
#pragma once

#include <linux/bpf.h>

#include <memory>
#include <string>

#include "handle.h"

struct bpf_object;
struct bpf_program;

namespace weir
{

struct Program : Resource {
	Fd fd;
	bpf_prog_info info{};
	std::string name;
	std::string section;
	uint32_t attachType = 0; // expected by the section's name
	std::shared_ptr<bpf_object> owner;
	bpf_program *program = nullptr;
};

// Takes ownership of fd.
std::shared_ptr<Program> AdoptProgram(int fd, const char *op);

Napi::Object ProgramToJs(Napi::Env env, const std::shared_ptr<Program> &program);

void InitProgram(Napi::Env env, Napi::Object exports);

} // namespace weir

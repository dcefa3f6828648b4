// SPDX-License-Identifier: Apache-2.0
//
// How a refusal by the kernel travels: thrown as KernelError on any thread,
// turned into a JavaScript error {op, errno, log} on the main one, and given
// its code and text by src/errors.ts.
#pragma once

#include <napi.h>

#include <string>

namespace weir
{

struct KernelError {
	std::string op; // what was tried, e.g. "map update"
	int err; // errno, positive; 0 = refused by the loader itself
	std::string message; // what the loader knows beyond the errno; may be empty
	std::string log; // what libbpf and the verifier said; may be empty
};

// Throws KernelError with the current errno.
[[noreturn]] void ThrowErrno(const char *op, std::string message = "");
[[noreturn]] void Throw(const char *op, int err, std::string message = "", std::string log = "");

Napi::Error ToJs(Napi::Env env, const KernelError &error);

// Collects what libbpf prints on this thread while it lives. Without one,
// libbpf prints nothing: this process's stderr belongs to JavaScript.
class LogCapture
{
public:
	LogCapture();
	~LogCapture();
	LogCapture(const LogCapture &) = delete;
	LogCapture &operator=(const LogCapture &) = delete;
	const std::string &text() const { return text_; }

private:
	std::string text_;
	std::string *previous_;
};

// Once per process, before any call into libbpf.
void InstallLogCapture();

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// Tracepoints and uprobes: a perf event with the program behind it. The link
// keeps the event alive in the kernel, so its descriptor can be closed here.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <fstream>

#include "args.h"
#include "async.h"
#include "elf.h"
#include "link.h"
#include "program.h"

namespace weir
{

namespace
{

const char *const uprobePmu = "/sys/bus/event_source/devices/uprobe";

uint64_t ReadNumber(const std::string &path, const std::string &prefix = "")
{
	std::ifstream file(path);
	std::string text;
	if (!std::getline(file, text) || text.compare(0, prefix.size(), prefix) != 0)
		Throw("attach", ENOENT, path);
	return std::strtoull(text.c_str() + prefix.size(), nullptr, 10);
}

Fd OpenEvent(perf_event_attr &attributes, int pid)
{
	attributes.size = sizeof(attributes);
	const long fd = syscall(SYS_perf_event_open, &attributes, pid, pid < 0 ? 0 : -1, -1,
		static_cast<unsigned long>(PERF_FLAG_FD_CLOEXEC));
	if (fd < 0)
		ThrowErrno("attach", "perf event");
	return Fd(static_cast<int>(fd));
}

Finish Attach(const Program &program, const Fd &event, const std::string &pinPath)
{
	const int fd = bpf_link_create(program.fd.get(), event.get(), BPF_PERF_EVENT, nullptr);
	if (fd < 0)
		ThrowErrno("attach");
	auto link = AdoptLink(fd, pinPath);
	if (ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) < 0)
		ThrowErrno("attach", "perf event enable");
	return [link](Napi::Env env) { return LinkToJs(env, link); };
}

// linkAttachTracepoint(program, tracefs, category, name, pinPath)
Napi::Value AttachTracepoint(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [program = Use<Program>(info[0], "attach"), tracefs = GetString(info[1], "tracefs"),
					 category = GetString(info[2], "category"), name = GetString(info[3], "name"),
					 pinPath = GetOptionalString(info[4], "pinPath")] {
		perf_event_attr attributes{};
		attributes.type = PERF_TYPE_TRACEPOINT;
		attributes.config = ReadNumber(tracefs + "/events/" + category + "/" + name + "/id");
		return Attach(*program, OpenEvent(attributes, -1), pinPath);
	});
}

// linkAttachUprobe(program, binary, symbol | offset, {ret, pid}, pinPath)
Napi::Value AttachUprobe(const Napi::CallbackInfo &info)
{
	const bool bySymbol = info[2].IsString();
	const std::string symbol = bySymbol ? GetString(info[2], "symbol") : "";
	const uint64_t given = bySymbol ? 0 : GetU64(info[2], "offset");
	auto options = info[3].As<Napi::Object>();
	const bool onReturn = GetBool(options.Get("ret"));
	const int pid = options.Get("pid").IsUndefined() ? -1 : static_cast<int>(GetU32(options.Get("pid"), "pid"));
	return Async(info.Env(), [program = Use<Program>(info[0], "attach"), binary = GetString(info[1], "binary"),
					 symbol, given, bySymbol, onReturn, pid,
					 pinPath = GetOptionalString(info[4], "pinPath")] {
		const uint64_t offset = bySymbol ? FunctionOffset(binary, symbol) : given;
		perf_event_attr attributes{};
		attributes.type = static_cast<uint32_t>(ReadNumber(std::string(uprobePmu) + "/type"));
		if (onReturn)
			attributes.config = 1ULL << ReadNumber(std::string(uprobePmu) + "/format/retprobe", "config:");
		attributes.config1 = reinterpret_cast<uint64_t>(binary.c_str());
		attributes.config2 = offset;
		return Attach(*program, OpenEvent(attributes, pid), pinPath);
	});
}

} // namespace

void InitPerf(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "linkAttachTracepoint", AttachTracepoint);
	Export(env, exports, "linkAttachUprobe", AttachUprobe);
}

} // namespace weir

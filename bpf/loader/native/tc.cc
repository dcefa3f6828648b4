// SPDX-License-Identifier: Apache-2.0
//
// clsact filters, for kernels without tcx. A filter stays at its handle and
// priority and is only ever replaced there: deleting it first would let packets
// pass unjudged.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "args.h"
#include "async.h"
#include "link.h"
#include "netns.h"
#include "program.h"

namespace weir
{

namespace
{

struct Filter {
	bpf_tc_hook hook{};
	bpf_tc_opts options{};
	std::string netns;
};

// (ifindex, 'ingress' | 'egress', handle, priority, netns) from argument `at` on
Filter ReadFilter(const Napi::CallbackInfo &info, size_t at)
{
	Filter filter;
	filter.hook.sz = sizeof(filter.hook);
	filter.hook.ifindex = static_cast<int>(GetU32(info[at], "ifindex"));
	filter.hook.attach_point = GetString(info[at + 1], "direction") == "ingress" ? BPF_TC_INGRESS : BPF_TC_EGRESS;
	filter.options.sz = sizeof(filter.options);
	filter.options.handle = GetU32(info[at + 2], "handle");
	filter.options.priority = GetU32(info[at + 3], "priority");
	filter.netns = GetOptionalString(info[at + 4], "netns");
	return filter;
}

void Run(const Filter &filter, const char *op, const std::function<int()> &call)
{
	InNetns(filter.netns, [&] {
		LogCapture log;
		if (const int result = call(); result < 0)
			Throw(op, result, "", log.text());
	});
}

// tcAttach(program, ifindex, direction, handle, priority, netns): new or in place
Napi::Value Attach(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [program = Use<Program>(info[0], "attach"), filter = ReadFilter(info, 1)]() mutable {
		filter.options.prog_fd = program->fd.get();
		filter.options.flags = BPF_TC_F_REPLACE;
		Run(filter, "attach", [&] {
			const int result = bpf_tc_hook_create(&filter.hook); // the clsact qdisc
			return result < 0 && result != -EEXIST ? result : bpf_tc_attach(&filter.hook, &filter.options);
		});
		return Nothing();
	});
}

// tcDetach(ifindex, direction, handle, priority, netns)
Napi::Value Detach(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [filter = ReadFilter(info, 0)] {
		Run(filter, "detach", [&] { return bpf_tc_detach(&filter.hook, &filter.options); });
		return Nothing();
	});
}

// tcQuery(ifindex, direction, handle, priority, netns) -> program id | undefined
Napi::Value Query(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [filter = ReadFilter(info, 0)]() mutable {
		bool found = true;
		Run(filter, "filter query", [&] {
			const int result = bpf_tc_query(&filter.hook, &filter.options);
			// no filter; or no clsact qdisc to have one
			found = result != -ENOENT && result != -EINVAL;
			return found ? result : 0;
		});
		const uint32_t id = found ? filter.options.prog_id : 0;
		return Finish([id](Napi::Env env) -> Napi::Value {
			return id ? Napi::Value(Napi::Number::New(env, id)) : env.Undefined();
		});
	});
}

} // namespace

void InitTc(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "tcAttach", Attach);
	Export(env, exports, "tcDetach", Detach);
	Export(env, exports, "tcQuery", Query);
}

} // namespace weir

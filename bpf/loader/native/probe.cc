// SPDX-License-Identifier: Apache-2.0
//
// What this kernel can do, found by doing it: version numbers lie, because
// distributions backport and lockdowns forbid. Nothing here is left behind.
#include "probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "async.h"
#include "handle.h"
#include "netns.h"

namespace weir
{

namespace
{

// r0 = 0; exit
const bpf_insn returnZero[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};

Fd LoadTracing(bpf_prog_type type, bpf_attach_type attachType, const char *target)
{
	LogCapture log;
	const int id = libbpf_find_vmlinux_btf_id(target, attachType);
	if (id <= 0)
		return Fd();
	bpf_prog_load_opts options{};
	options.sz = sizeof(options);
	options.expected_attach_type = attachType;
	options.attach_btf_id = static_cast<uint32_t>(id);
	return Fd(bpf_prog_load(type, "weir_probe", "GPL", returnZero, 2, &options));
}

bool Attaches(const Fd &program)
{
	if (program.get() < 0)
		return false;
	const Fd link(bpf_raw_tracepoint_open(nullptr, program.get()));
	return link.get() >= 0;
}

bool Helper(bpf_prog_type type, bpf_func_id helper)
{
	LogCapture log;
	return libbpf_probe_bpf_helper(type, helper, nullptr) == 1;
}

// Batches on an empty map: supported when it finds nothing, or no more.
bool Batch(bpf_map_type type, uint32_t flags)
{
	bpf_map_create_opts options{};
	options.sz = sizeof(options);
	options.map_flags = flags;
	const Fd map(bpf_map_create(type, "weir_probe", 8, 8, 4, &options));
	uint8_t cursor[8];
	uint8_t keys[32];
	uint8_t values[32];
	uint32_t count = 4;
	return map.get() >= 0 &&
	       (bpf_map_lookup_batch(map.get(), nullptr, cursor, keys, values, &count, nullptr) == 0 ||
		       errno == ENOENT);
}

bool Clsact()
{
	bool works = false;
	InNewNetns([&] {
		LogCapture log;
		bpf_tc_hook hook{};
		hook.sz = sizeof(hook);
		hook.ifindex = 1; // loopback
		hook.attach_point = BPF_TC_INGRESS;
		works = bpf_tc_hook_create(&hook) == 0;
	});
	return works;
}

bool Tcx()
{
	// An interface that cannot exist: kernels without tcx do not know the
	// attach type, the others do not find the interface.
	const Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "weir_probe", "GPL", returnZero, 2, nullptr));
	constexpr auto tcxIngress = static_cast<bpf_attach_type>(46);
	if (program.get() < 0)
		return false;
	const Fd link(bpf_link_create(program.get(), 0x7fffffff, tcxIngress, nullptr));
	return link.get() >= 0 || errno == ENODEV;
}

bool Exists(const char *path)
{
	return access(path, F_OK) == 0;
}

// probe() -> {feature: boolean}
Napi::Value Probe(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [] {
		std::map<std::string, bool> found;
		found["btf"] = Exists("/sys/kernel/btf/vmlinux");
		found["tcx"] = Tcx();
		found["clsact"] = Clsact();
		found["redirectPeer"] = Helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_peer);
		found["redirectNeigh"] = Helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_neigh);
		found["bpfLoop"] = Helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_loop);
		{
			LogCapture log;
			found["ringbuf"] = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, nullptr) == 1;
		}
		found["batchHash"] = Batch(BPF_MAP_TYPE_HASH, 0);
		found["batchLpm"] = Batch(BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC);
		found["tpBtf"] = Attaches(LoadTracing(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, "sched_process_exec"));
		// a function of the kernel's own tests: attaching slows nobody down
		found["fentry"] = Attaches(LoadTracing(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "bpf_fentry_test1"));
		found["lsmLoads"] = LoadTracing(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "file_open").get() >= 0;
		found["kprobe"] = Exists("/sys/bus/event_source/devices/kprobe/type");
		found["uprobe"] = Exists("/sys/bus/event_source/devices/uprobe/type");
		return Finish([found](Napi::Env env) {
			auto js = Napi::Object::New(env);
			for (const auto &[name, works] : found)
				js.Set(name, Napi::Boolean::New(env, works));
			return js;
		});
	});
}

Napi::Value TcxSupported(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [] {
		const bool supported = Tcx();
		return Finish([supported](Napi::Env env) { return Napi::Boolean::New(env, supported); });
	});
}

} // namespace

void InitProbe(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "probe", Probe);
	Export(env, exports, "tcxSupported", TcxSupported);
}

} // namespace weir

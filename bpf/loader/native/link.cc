// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>

#include <cerrno>

#include "args.h"
#include "async.h"
#include "netns.h"
#include "program.h"

namespace weir
{

namespace
{

Finish ToLink(const std::shared_ptr<Link> &link)
{
	return [link](Napi::Env env) { return LinkToJs(env, link); };
}

bpf_link_info InfoOf(int fd, const char *op)
{
	bpf_link_info info{};
	uint32_t length = sizeof(info);
	if (bpf_obj_get_info_by_fd(fd, &info, &length) < 0)
		ThrowErrno(op);
	return info;
}

// linkAttachDevice(program, ifindex, attachType, flags, pinPath, netns): tcx and XDP.
Napi::Value AttachDevice(const Napi::CallbackInfo &info)
{
	return Async(info.Env(),
		[program = Use<Program>(info[0], "attach"), ifindex = GetU32(info[1], "ifindex"),
			type = GetU32(info[2], "attachType"), flags = GetU32(info[3], "flags", 0),
			pinPath = GetOptionalString(info[4], "pinPath"), netns = GetOptionalString(info[5], "netns")] {
			bpf_link_create_opts options{};
			options.sz = sizeof(options);
			options.flags = flags;
			std::shared_ptr<Link> link;
			InNetns(netns, [&] {
				const int fd = bpf_link_create(program->fd.get(), static_cast<int>(ifindex),
					static_cast<bpf_attach_type>(type), &options);
				if (fd < 0) {
					// XDP calls a missing interface an invalid argument
					const int err = errno;
					char name[IF_NAMESIZE];
					Throw("attach", if_indextoname(ifindex, name) ? err : ENODEV);
				}
				link = AdoptLink(fd, pinPath);
			});
			return ToLink(link);
		});
}

// linkAttachCgroup(program, cgroupPath, attachType, pinPath)
Napi::Value AttachCgroup(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [program = Use<Program>(info[0], "attach"), path = GetString(info[1], "cgroup"),
					 type = GetU32(info[2], "attachType"),
					 pinPath = GetOptionalString(info[3], "pinPath")] {
		const Fd cgroup(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		if (cgroup.get() < 0)
			ThrowErrno("attach", path);
		const int fd =
			bpf_link_create(program->fd.get(), cgroup.get(), static_cast<bpf_attach_type>(type), nullptr);
		if (fd < 0)
			ThrowErrno("attach", path);
		return ToLink(AdoptLink(fd, pinPath));
	});
}

// linkAttachTracing(program, name | undefined, pinPath): a raw tracepoint by
// name; without one the target is what the program was loaded for (tp_btf, fentry).
Napi::Value AttachTracing(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [program = Use<Program>(info[0], "attach"),
					 name = GetOptionalString(info[1], "tracepoint"),
					 pinPath = GetOptionalString(info[2], "pinPath")] {
		const int fd = bpf_raw_tracepoint_open(name.empty() ? nullptr : name.c_str(), program->fd.get());
		if (fd < 0)
			ThrowErrno("attach", name);
		return ToLink(AdoptLink(fd, pinPath));
	});
}

// linkIterate(program): runs an iterator (iter/...) once, over all there is; resolves to what it wrote.
Napi::Value Iterate(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [program = Use<Program>(info[0], "iterate")] {
		const Fd link(bpf_link_create(program->fd.get(), 0, BPF_TRACE_ITER, nullptr));
		if (link.get() < 0)
			ThrowErrno("iterate");
		const Fd iterator(bpf_iter_create(link.get()));
		if (iterator.get() < 0)
			ThrowErrno("iterate");
		Bytes written;
		uint8_t page[4096];
		for (;;) {
			const ssize_t size = read(iterator.get(), page, sizeof(page));
			if (size == 0)
				break;
			if (size > 0)
				written.insert(written.end(), page, page + size);
			else if (errno != EAGAIN && errno != EINTR) // EAGAIN: enough for once, there is more
				ThrowErrno("iterate");
		}
		return Finish([written = std::move(written)](
				      Napi::Env env) mutable { return ToBuffer(env, std::move(written)); });
	});
}

// linkByPath(path)
Napi::Value ByPath(const Napi::CallbackInfo &info)
{
	const std::string path = GetString(info[0], "path");
	const int fd = bpf_obj_get(path.c_str());
	if (fd < 0)
		ThrowErrno("link open", path);
	return LinkToJs(info.Env(), AdoptLink(fd, ""));
}

// linkUpdate(link, program): the kernel swaps the program between two packets.
Napi::Value Update(const Napi::CallbackInfo &info)
{
	return Async(
		info.Env(), [link = Use<Link>(info[0], "link update"), program = Use<Program>(info[1], "link update")] {
			if (bpf_link_update(link->fd.get(), program->fd.get(), nullptr) < 0)
				ThrowErrno("link update");
			return Nothing();
		});
}

// linkDetach(link) -> false where links of its kind end only when they are closed
Napi::Value Detach(const Napi::CallbackInfo &info)
{
	auto link = Use<Link>(info[0], "link detach");
	const bool done = bpf_link_detach(link->fd.get()) == 0;
	if (!done && errno != EOPNOTSUPP && errno != EINVAL)
		ThrowErrno("link detach");
	return Napi::Boolean::New(info.Env(), done);
}

// linkInfo(link) -> {id, progId, type, target, attachType}
Napi::Value JsInfo(const Napi::CallbackInfo &info)
{
	const bpf_link_info link = InfoOf(Use<Link>(info[0], "link info")->fd.get(), "link info");
	auto js = Napi::Object::New(info.Env());
	js.Set("id", Napi::Number::New(info.Env(), link.id));
	js.Set("progId", Napi::Number::New(info.Env(), link.prog_id));
	js.Set("type", Napi::Number::New(info.Env(), link.type));
	// tcx, netns and netkit links begin like this, and XDP's with the interface
	js.Set("ifindex", Napi::Number::New(info.Env(), link.netns.netns_ino));
	js.Set("deviceAttachType", Napi::Number::New(info.Env(), link.netns.attach_type));
	js.Set("cgroupId", Napi::BigInt::New(info.Env(), uint64_t{link.cgroup.cgroup_id}));
	js.Set("cgroupAttachType", Napi::Number::New(info.Env(), link.cgroup.attach_type));
	return js;
}

} // namespace

std::shared_ptr<Link> AdoptLink(int fd, const std::string &pinPath)
{
	auto link = std::make_shared<Link>();
	link->fd = Fd(fd);
	char target[64]{};
	const std::string self = "/proc/self/fd/" + std::to_string(fd);
	if (readlink(self.c_str(), target, sizeof(target) - 1) < 0 ||
		std::string(target).find("bpf") == std::string::npos ||
		std::string(target).find("bpf-map") != std::string::npos ||
		std::string(target).find("bpf-prog") != std::string::npos)
		Throw("link open", EINVAL, "this is no link");
	if (!pinPath.empty() && bpf_obj_pin(fd, pinPath.c_str()) < 0)
		ThrowErrno("link pin", pinPath);
	return link;
}

Napi::Object LinkToJs(Napi::Env env, const std::shared_ptr<Link> &link)
{
	auto js = Napi::Object::New(env);
	js.Set("handle", MakeHandle(env, link));
	js.Set("fd", Napi::Number::New(env, link->fd.get()));
	return js;
}

void InitLink(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "linkAttachDevice", AttachDevice);
	Export(env, exports, "linkAttachCgroup", AttachCgroup);
	Export(env, exports, "linkAttachTracing", AttachTracing);
	Export(env, exports, "linkIterate", Iterate);
	Export(env, exports, "linkByPath", ByPath);
	Export(env, exports, "linkUpdate", Update);
	Export(env, exports, "linkDetach", Detach);
	Export(env, exports, "linkInfo", JsInfo);
}

} // namespace weir

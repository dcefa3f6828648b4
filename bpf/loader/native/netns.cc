// SPDX-License-Identifier: Apache-2.0
#include "netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <exception>
#include <thread>

#include "args.h"
#include "async.h"
#include "handle.h"

namespace weir
{

namespace
{

// asm-generic/socket.h, since Linux 5.14; older headers do not have it.
constexpr int kNetnsCookie = 71;

void InThread(const std::function<void()> &work)
{
	std::exception_ptr thrown;
	std::thread thread([&] {
		try {
			work();
		} catch (...) {
			thrown = std::current_exception();
		}
	});
	thread.join();
	if (thrown)
		std::rethrow_exception(thrown);
}

std::string OwnNetns()
{
	return "/proc/self/task/" + std::to_string(syscall(SYS_gettid)) + "/ns/net";
}

// As `ip netns` does: the directory is a shared mount, so that a namespace made
// or deleted here is seen in mount namespaces made before. The lock keeps two
// processes from mounting the directory over itself twice.
void ShareDirectory(const std::string &directory)
{
	if (mkdir(directory.c_str(), 0755) < 0 && errno != EEXIST)
		ThrowErrno("netns create", directory);
	Fd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (lock.get() < 0 || flock(lock.get(), LOCK_EX) < 0)
		ThrowErrno("netns create", directory);
	if (mount("", directory.c_str(), "none", MS_SHARED | MS_REC, nullptr) == 0)
		return;
	if (errno != EINVAL)
		ThrowErrno("netns create", "mount --make-shared " + directory);
	if (mount(directory.c_str(), directory.c_str(), "none", MS_BIND | MS_REC, nullptr) < 0 ||
		mount("", directory.c_str(), "none", MS_SHARED | MS_REC, nullptr) < 0)
		ThrowErrno("netns create", "mount --bind " + directory);
}

// createNetns(path)
Napi::Value CreateNetns(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [path = GetString(info[0], "path")] {
		const auto slash = path.rfind('/');
		const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash);
		if (directory == "/run/netns" || directory == "/var/run/netns")
			ShareDirectory(directory);
		Fd file(open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
		if (file.get() < 0)
			ThrowErrno("netns create", path);
		file.reset();
		try {
			InNewNetns([&] {
				if (mount(OwnNetns().c_str(), path.c_str(), "none", MS_BIND, nullptr) < 0)
					ThrowErrno("netns create", "mount --bind " + path);
			});
		} catch (...) {
			unlink(path.c_str());
			throw;
		}
		return Nothing();
	});
}

// deleteNetns(path): the namespace lives on while processes are in it.
Napi::Value DeleteNetns(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [path = GetString(info[0], "path")] {
		if (umount2(path.c_str(), MNT_DETACH) < 0 && errno != EINVAL)
			ThrowErrno("netns delete", path);
		if (unlink(path.c_str()) < 0)
			ThrowErrno("netns delete", path);
		return Nothing();
	});
}

// netnsCookie(path): what programs know the namespace by.
Napi::Value NetnsCookie(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [path = GetOptionalString(info[0], "path")] {
		uint64_t cookie = 0;
		InNetns(path, [&] {
			Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
			socklen_t length = sizeof(cookie);
			if (socket.get() < 0 ||
				getsockopt(socket.get(), SOL_SOCKET, kNetnsCookie, &cookie, &length) < 0)
				ThrowErrno("netns cookie", path);
		});
		return Finish([cookie](Napi::Env env) { return Napi::BigInt::New(env, cookie); });
	});
}

// sysctl(netnsPath | undefined, key, value | undefined) -> value
Napi::Value Sysctl(const Napi::CallbackInfo &info)
{
	const bool write = !info[2].IsUndefined();
	return Async(info.Env(), [netns = GetOptionalString(info[0], "netns"), key = GetString(info[1], "key"),
					 value = GetOptionalString(info[2], "value"), write] {
		const char *op = write ? "sysctl set" : "sysctl get";
		std::string text;
		InNetns(netns, [&] {
			Fd file(open(("/proc/sys/" + key).c_str(), (write ? O_WRONLY : O_RDONLY) | O_CLOEXEC));
			if (file.get() < 0)
				ThrowErrno(op, key);
			if (write) {
				if (::write(file.get(), value.data(), value.size()) !=
					static_cast<ssize_t>(value.size()))
					ThrowErrno(op, key + " = " + value);
				return;
			}
			char buffer[4096];
			const ssize_t length = read(file.get(), buffer, sizeof(buffer));
			if (length < 0)
				ThrowErrno(op, key);
			text.assign(buffer, static_cast<size_t>(length));
		});
		while (!text.empty() && text.back() == '\n')
			text.pop_back();
		return Finish([text](Napi::Env env) { return Napi::String::New(env, text); });
	});
}

} // namespace

void InNetns(const std::string &path, const std::function<void()> &work)
{
	if (path.empty()) {
		work();
		return;
	}
	Fd netns(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	if (netns.get() < 0)
		ThrowErrno("netns open", path);
	InThread([&] {
		if (setns(netns.get(), CLONE_NEWNET) < 0)
			ThrowErrno("netns enter", path);
		work();
	});
}

void InNewNetns(const std::function<void()> &work)
{
	InThread([&] {
		if (unshare(CLONE_NEWNET) < 0)
			ThrowErrno("netns create");
		work();
	});
}

void InitNetns(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "createNetns", CreateNetns);
	Export(env, exports, "deleteNetns", DeleteNetns);
	Export(env, exports, "netnsCookie", NetnsCookie);
	Export(env, exports, "sysctl", Sysctl);
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// bpffs and tracefs are mounted by whoever needs them first. Two mounts over
// each other would hide the first one's pins: a lock on the parent directory
// lets one process at a time look and mount.
#include "mount.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <cerrno>

#include "args.h"
#include "async.h"
#include "handle.h"

namespace weir
{

namespace
{

bool IsMounted(const std::string &directory, uint32_t magic)
{
	struct statfs facts;
	if (statfs(directory.c_str(), &facts) < 0)
		ThrowErrno("mount", directory);
	return static_cast<uint32_t>(facts.f_type) == magic;
}

// mountIfMissing(type, directory, magic) -> did it mount
Napi::Value MountIfMissing(const Napi::CallbackInfo &info)
{
	return Async(info.Env(), [type = GetString(info[0], "type"), directory = GetString(info[1], "directory"),
					 magic = GetU32(info[2], "magic")] {
		const Fd lock(open((directory + "/..").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		if (lock.get() < 0 || flock(lock.get(), LOCK_EX) < 0)
			ThrowErrno("mount", directory);
		const bool needed = !IsMounted(directory, magic);
		if (needed && mount(type.c_str(), directory.c_str(), type.c_str(), MS_NOSUID | MS_NODEV | MS_NOEXEC,
				      "mode=0700") < 0)
			ThrowErrno("mount", type + " on " + directory);
		return Finish([needed](Napi::Env env) { return Napi::Boolean::New(env, needed); });
	});
}

} // namespace

void InitMount(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "mountIfMissing", MountIfMissing);
}

} // namespace weir

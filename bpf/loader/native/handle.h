// SPDX-License-Identifier: Apache-2.0
//
// What JavaScript holds of a kernel object: an opaque external that owns a
// shared_ptr. Work under way on another thread holds its own reference, so a
// close() meanwhile never closes a descriptor that is in use (and whose number
// could be somebody else's a moment later). Closing twice is allowed; using a
// closed handle throws EBADF; the garbage collector closes what was forgotten.
#pragma once

#include <napi.h>
#include <unistd.h>

#include <memory>

#include "error.h"

namespace weir
{

struct Resource {
	Resource() = default;
	Resource(const Resource &) = delete;
	Resource &operator=(const Resource &) = delete;
	virtual ~Resource() = default;
};

// A descriptor that closes itself.
class Fd
{
public:
	Fd() = default;
	explicit Fd(int fd) : fd_(fd) {}
	Fd(Fd &&other) noexcept : fd_(other.release()) {}
	Fd &operator=(Fd &&other) noexcept
	{
		if (this != &other) {
			reset();
			fd_ = other.release();
		}
		return *this;
	}
	~Fd() { reset(); }
	int get() const { return fd_; }
	int release()
	{
		const int fd = fd_;
		fd_ = -1;
		return fd;
	}
	void reset()
	{
		if (fd_ >= 0)
			close(fd_);
		fd_ = -1;
	}

private:
	int fd_ = -1;
};

Napi::Value MakeHandle(Napi::Env env, std::shared_ptr<Resource> resource);

// Throws EBADF when closed, a TypeError when the value is no handle.
std::shared_ptr<Resource> UseHandle(const Napi::Value &value, const char *op);

template<class T>
std::shared_ptr<T> Use(const Napi::Value &value, const char *op)
{
	auto resource = std::dynamic_pointer_cast<T>(UseHandle(value, op));
	if (!resource)
		throw Napi::TypeError::New(value.Env(), std::string(op) + ": a handle of another kind was given");
	return resource;
}

void InitHandle(Napi::Env env, Napi::Object exports);

} // namespace weir

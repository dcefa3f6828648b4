// SPDX-License-Identifier: Apache-2.0
//
// One connection, or one datagram without content, from inside a namespace, by
// a process that stays outside: what a program there would see of it.
#include "attempt.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "args.h"
#include "async.h"
#include "handle.h"
#include "netns.h"

namespace weir
{

namespace
{

constexpr size_t kAddress = 16;
constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct Outcome {
	int error = 0; // errno; ETIMEDOUT: nothing was heard in time
	uint16_t port = 0; // its own
	int64_t us = 0;
};

int64_t NowUs()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

uint16_t OwnPort(const Fd &fd)
{
	sockaddr_in6 own = {};
	socklen_t size = sizeof(own);
	if (getsockname(fd.get(), reinterpret_cast<sockaddr *>(&own), &size) < 0)
		return 0;
	// The port is at the same place for both families.
	return ntohs(own.sin6_port);
}

int Connect(const Fd &fd, const Bytes &address, uint16_t port)
{
	if (memcmp(address.data(), kMapped, sizeof(kMapped)) == 0) {
		sockaddr_in to = {};
		to.sin_family = AF_INET;
		to.sin_port = htons(port);
		memcpy(&to.sin_addr, &address[sizeof(kMapped)], sizeof(to.sin_addr));
		return connect(fd.get(), reinterpret_cast<sockaddr *>(&to), sizeof(to));
	}
	sockaddr_in6 to = {};
	to.sin6_family = AF_INET6;
	to.sin6_port = htons(port);
	memcpy(&to.sin6_addr, address.data(), sizeof(to.sin6_addr));
	return connect(fd.get(), reinterpret_cast<sockaddr *>(&to), sizeof(to));
}

int Waited(const Fd &fd, short events, int64_t end)
{
	pollfd one = {fd.get(), events, 0};
	for (int64_t left = end - NowUs(); left > 0; left = end - NowUs()) {
		const int ready = poll(&one, 1, static_cast<int>(left / 1000 + 1));
		if (ready < 0 && errno != EINTR)
			ThrowErrno("attempt", "poll");
		if (ready <= 0)
			continue;
		int error = 0;
		socklen_t size = sizeof(error);
		if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) < 0)
			ThrowErrno("attempt", "SO_ERROR");
		return error;
	}
	return ETIMEDOUT;
}

Outcome Attempt(const Bytes &address, uint16_t port, bool tcp, uint32_t timeoutMs)
{
	const bool four = memcmp(address.data(), kMapped, sizeof(kMapped)) == 0;
	Fd fd(socket(four ? AF_INET : AF_INET6, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (fd.get() < 0)
		ThrowErrno("attempt", "socket");
	Outcome outcome;
	const int64_t begin = NowUs();
	const int64_t end = begin + static_cast<int64_t>(timeoutMs) * 1000;
	if (Connect(fd, address, port) < 0 && errno != EINPROGRESS)
		outcome.error = errno;
	outcome.port = OwnPort(fd);
	if (outcome.error == 0 && !tcp && send(fd.get(), "", 0, 0) < 0)
		outcome.error = errno;
	if (outcome.error == 0)
		outcome.error = Waited(fd, tcp ? POLLOUT : POLLIN, end);
	outcome.us = NowUs() - begin;
	return outcome;
}

// attempt(netns, address of 16 bytes, port, tcp, timeoutMs) -> [errno, own port, microseconds]
Napi::Value AttemptFrom(const Napi::CallbackInfo &info)
{
	const uint32_t port = GetU32(info[2], "port");
	if (port == 0 || port > 65535)
		throw Napi::RangeError::New(info.Env(), "port must be from 1 to 65535");
	Bytes address = GetBytes(info[1], "address");
	if (address.size() != kAddress)
		throw Napi::RangeError::New(info.Env(), "address must be of 16 bytes");
	const bool tcp = info[3].ToBoolean();
	return Async(info.Env(), [netns = GetString(info[0], "netns"), address = std::move(address), port, tcp,
					 timeoutMs = GetU32(info[4], "timeoutMs")] {
		Outcome outcome;
		InNetns(netns, [&] { outcome = Attempt(address, static_cast<uint16_t>(port), tcp, timeoutMs); });
		return Finish([outcome](Napi::Env env) {
			Napi::Array result = Napi::Array::New(env, 3);
			result.Set(0u, outcome.error);
			result.Set(1u, outcome.port);
			result.Set(2u, static_cast<double>(outcome.us));
			return result.As<Napi::Value>();
		});
	});
}

} // namespace

void InitAttempt(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "attempt", AttemptFrom);
}

} // namespace weir

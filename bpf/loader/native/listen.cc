// SPDX-License-Identifier: Apache-2.0
//
// A listening TCP socket inside a namespace for a process that stays outside: a
// socket belongs to the namespace in which it is made, whoever holds it.
#include "listen.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "args.h"
#include "async.h"
#include "handle.h"
#include "netns.h"

namespace weir
{

namespace
{

constexpr int kBacklog = 128;

Fd Open(int family)
{
	return Fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void Reuse(const Fd &fd)
{
	const int yes = 1;
	if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		ThrowErrno("listen", "SO_REUSEADDR");
}

// Both families by one socket; IPv4 alone where the kernel has no IPv6.
Fd ListenEverywhere(uint16_t port)
{
	const std::string where = "port " + std::to_string(port);
	Fd six = Open(AF_INET6);
	if (six.get() >= 0) {
		const int no = 0;
		sockaddr_in6 any = {};
		any.sin6_family = AF_INET6;
		any.sin6_port = htons(port);
		Reuse(six);
		if (setsockopt(six.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0 ||
			bind(six.get(), reinterpret_cast<sockaddr *>(&any), sizeof(any)) < 0 ||
			listen(six.get(), kBacklog) < 0)
			ThrowErrno("listen", where);
		return six;
	}
	if (errno != EAFNOSUPPORT)
		ThrowErrno("listen", where);
	Fd four = Open(AF_INET);
	sockaddr_in any = {};
	any.sin_family = AF_INET;
	any.sin_port = htons(port);
	if (four.get() < 0)
		ThrowErrno("listen", where);
	Reuse(four);
	if (bind(four.get(), reinterpret_cast<sockaddr *>(&any), sizeof(any)) < 0 || listen(four.get(), kBacklog) < 0)
		ThrowErrno("listen", where);
	return four;
}

// listenTcp(netns, port) -> descriptor, the caller's to close
Napi::Value ListenTcp(const Napi::CallbackInfo &info)
{
	const uint32_t port = GetU32(info[1], "port");
	if (port == 0 || port > 65535)
		throw Napi::RangeError::New(info.Env(), "port must be from 1 to 65535");
	return Async(info.Env(), [netns = GetString(info[0], "netns"), port] {
		int fd = -1;
		InNetns(netns, [&] { fd = ListenEverywhere(static_cast<uint16_t>(port)).release(); });
		return Finish([fd](Napi::Env env) { return Napi::Number::New(env, fd).As<Napi::Value>(); });
	});
}

} // namespace

void InitListen(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "listenTcp", ListenTcp);
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// Netlink's transport: bytes out, bytes in. A socket belongs to the namespace
// it was made in, whichever thread uses it later. Messages are built and read
// in TypeScript (src/netlink/).
#include "netlink.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "args.h"
#include "async.h"
#include "background.h"
#include "netns.h"

namespace weir
{

namespace
{

constexpr size_t receiveBytes = 256 * 1024; // the kernel puts at most 32 KiB of a dump into one datagram
constexpr int receiveQueueBytes = 4 * 1024 * 1024; // a monitor's; ~10,000 changes while JavaScript is busy
constexpr time_t answerSeconds = 30; // behind other holders of the RTNL lock
constexpr int dumpAttempts = 10;

struct Netlink : Resource {
	Fd fd;
	std::mutex mutex; // one request at a time
	uint32_t sequence = 0;
};

Fd OpenSocket(const std::string &netns, int protocol, uint32_t groups)
{
	Fd fd;
	InNetns(netns, [&] { fd = Fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)); });
	sockaddr_nl address{};
	address.nl_family = AF_NETLINK;
	address.nl_groups = groups;
	if (fd.get() < 0 || bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) < 0)
		ThrowErrno("netlink open");
	const int on = 1;
	const timeval timeout{answerSeconds, 0};
	// without these two only texts and filters are missing
	setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (groups)
		setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receiveQueueBytes, sizeof(receiveQueueBytes));
	return fd;
}

// The kernel's own words about an error, if it had any.
std::string ExtendedAck(const nlmsghdr *message)
{
	const auto *error = static_cast<const nlmsgerr *>(NLMSG_DATA(message));
	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return "";
	size_t at = NLMSG_HDRLEN + sizeof(nlmsgerr);
	if (!(message->nlmsg_flags & NLM_F_CAPPED))
		at += error->msg.nlmsg_len - sizeof(nlmsghdr);
	const auto *bytes = reinterpret_cast<const char *>(message);
	while (at + sizeof(nlattr) <= message->nlmsg_len) {
		nlattr attribute;
		memcpy(&attribute, bytes + at, sizeof(attribute));
		if (attribute.nla_len < sizeof(attribute) || at + attribute.nla_len > message->nlmsg_len)
			break;
		if ((attribute.nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG)
			return std::string(bytes + at + sizeof(attribute),
				strnlen(bytes + at + sizeof(attribute), attribute.nla_len - sizeof(attribute)));
		at += NLA_ALIGN(attribute.nla_len);
	}
	return "";
}

// Reads answers to `sequence` into `out` until the last. False: a dump that
// changed while it was made.
bool Receive(Netlink &netlink, uint32_t sequence, bool dump, Bytes &out)
{
	Bytes buffer(receiveBytes);
	bool consistent = true;
	for (;;) {
		const ssize_t length = recv(netlink.fd.get(), buffer.data(), buffer.size(), 0);
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			ThrowErrno("netlink receive");
		auto left = static_cast<unsigned int>(length);
		for (auto *message = reinterpret_cast<nlmsghdr *>(buffer.data()); NLMSG_OK(message, left);
			message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_seq != sequence)
				continue; // of a request that timed out
			consistent = consistent && !(message->nlmsg_flags & NLM_F_DUMP_INTR);
			if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
				int error = 0;
				if (message->nlmsg_len >= NLMSG_HDRLEN + sizeof(error))
					memcpy(&error, NLMSG_DATA(message), sizeof(error));
				if (error < 0)
					Throw("netlink request", -error,
						message->nlmsg_type == NLMSG_ERROR ? ExtendedAck(message) : "");
				if (message->nlmsg_type == NLMSG_DONE || !dump)
					return consistent;
				continue;
			}
			const auto *bytes = reinterpret_cast<const uint8_t *>(message);
			out.insert(out.end(), bytes, bytes + NLMSG_ALIGN(message->nlmsg_len));
		}
	}
}

Bytes Request(Netlink &netlink, Bytes message)
{
	const std::lock_guard<std::mutex> lock(netlink.mutex);
	auto *header = reinterpret_cast<nlmsghdr *>(message.data());
	const bool dump = (header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	for (int attempt = 0; attempt < dumpAttempts; attempt++) {
		header->nlmsg_seq = ++netlink.sequence;
		if (send(netlink.fd.get(), message.data(), message.size(), 0) < 0)
			ThrowErrno("netlink send");
		Bytes out;
		if (Receive(netlink, header->nlmsg_seq, dump, out))
			return out;
	}
	Throw("netlink request", EAGAIN, "the list changed each time while it was read");
}

struct Changes : Background::Post {
	Bytes bytes; // empty: some were lost
	std::atomic<int> *queued;
	std::shared_ptr<Background> owner; // keeps `queued`
	void Deliver(Napi::Env env, Napi::Function callback) override
	{
		queued->fetch_sub(1);
		owner->Wake();
		callback.Call({ToBuffer(env, std::move(bytes))});
	}
};

// What the kernel announces. While JavaScript is behind, announcements wait in
// the socket; when that is full the kernel drops some and says so.
class Monitor : public Background
{
public:
	explicit Monitor(Fd fd) : fd_(std::move(fd)) {}

	void Run()
	{
		Bytes buffer(receiveBytes);
		while (!stopping()) {
			const bool room = queued_.load() < maxQueued;
			pollfd fds[] = {{wakeFd(), POLLIN, 0}, {fd_.get(), static_cast<short>(room ? POLLIN : 0), 0}};
			if (poll(fds, 2, -1) < 0 && errno != EINTR)
				return;
			Drain();
			if (!room || !(fds[1].revents & (POLLIN | POLLERR)))
				continue;
			const ssize_t length = recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
			if (length < 0 && errno != ENOBUFS)
				continue;
			auto changes = std::make_unique<Changes>();
			changes->bytes.assign(buffer.data(), buffer.data() + (length < 0 ? 0 : length));
			changes->queued = &queued_;
			changes->owner = shared_from_this();
			queued_.fetch_add(1);
			if (!Send(std::move(changes)))
				return;
		}
	}

private:
	static constexpr int maxQueued = 256;
	Fd fd_;
	std::atomic<int> queued_{0};
};

// netlinkOpen(netnsPath | undefined, protocol): NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_GENERIC
Napi::Value Open(const Napi::CallbackInfo &info)
{
	auto netlink = std::make_shared<Netlink>();
	netlink->fd = OpenSocket(GetOptionalString(info[0], "netns"), static_cast<int>(GetU32(info[1], "protocol")), 0);
	return MakeHandle(info.Env(), netlink);
}

// netlinkRequest(socket, message) -> all answers
Napi::Value JsRequest(const Napi::CallbackInfo &info)
{
	auto netlink = Use<Netlink>(info[0], "netlink request");
	const View view = GetView(info[1], "message");
	nlmsghdr header;
	if (view.size < sizeof(header))
		throw Napi::RangeError::New(info.Env(), "message is shorter than its header");
	memcpy(&header, view.data, sizeof(header));
	if (header.nlmsg_len != view.size)
		throw Napi::RangeError::New(info.Env(), "message has another length than its header says");
	return Async(info.Env(), [netlink, message = GetBytes(info[1], "message")] {
		auto answers = std::make_shared<Bytes>(Request(*netlink, message));
		return Finish([answers](Napi::Env env) { return ToBuffer(env, std::move(*answers)); });
	});
}

// netlinkMonitor(netnsPath | undefined, groups, callback(bytes))
Napi::Value OpenMonitor(const Napi::CallbackInfo &info)
{
	auto monitor = std::make_shared<Monitor>(
		OpenSocket(GetOptionalString(info[0], "netns"), NETLINK_ROUTE, GetU32(info[1], "groups")));
	monitor->Start(info.Env(), "weir netlink monitor", info[2].As<Napi::Function>(),
		[thread = monitor.get()] { thread->Run(); });
	return MakeHandle(info.Env(), monitor);
}

// backgroundStop(monitor or ring) -> Promise
Napi::Value Stop(const Napi::CallbackInfo &info)
{
	return Use<Background>(info[0], "stop")->Stop(info.Env());
}

} // namespace

void InitNetlink(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "netlinkOpen", Open);
	Export(env, exports, "netlinkRequest", JsRequest);
	Export(env, exports, "netlinkMonitor", OpenMonitor);
	Export(env, exports, "backgroundStop", Stop);
}

} // namespace weir

// SPDX-License-Identifier: Apache-2.0
//
// ICMP echo to many addresses at once, on a libuv worker: one raw socket for
// each family, requests sent one after another, answers taken until all are
// there or the time is over. An answer counts when it comes from the address
// that was asked and carries this call's identifier, sequence and nonce.
#include "ping.h"

#include <arpa/inet.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "args.h"
#include "async.h"
#include "handle.h"
#include "netns.h"

namespace weir
{

namespace
{

constexpr size_t kAddress = 16;
constexpr size_t kMost = 1024;
constexpr int32_t kNoAnswer = -1;

struct Echo {
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	uint16_t id;
	uint16_t sequence;
	uint64_t nonce;
};
static_assert(sizeof(Echo) == 16);

int64_t NowUs()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

bool IsV4(const uint8_t *address)
{
	static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(address, prefix, sizeof(prefix)) == 0;
}

uint16_t Checksum(const void *data, size_t size)
{
	const auto *words = static_cast<const uint8_t *>(data);
	uint32_t sum = 0;
	for (size_t at = 0; at + 1 < size; at += 2) {
		uint16_t word;
		memcpy(&word, words + at, sizeof(word));
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(~sum);
}

class Pinger
{
public:
	Pinger(Bytes addresses) : addresses_(std::move(addresses)), count_(addresses_.size() / kAddress)
	{
		results_.assign(count_, kNoAnswer);
		sent_.assign(count_, 0);
		if (getrandom(&id_, sizeof(id_), 0) != sizeof(id_) ||
			getrandom(&nonce_, sizeof(nonce_), 0) != sizeof(nonce_))
			ThrowErrno("ping", "getrandom");
		for (size_t i = 0; i < count_; i++)
			(IsV4(&addresses_[i * kAddress]) ? v4_ : v6_) = true;
	}

	std::vector<int32_t> Run(uint32_t timeoutMs)
	{
		Open();
		for (size_t i = 0; i < count_; i++) {
			Send(i);
			Receive();
		}
		const int64_t end = NowUs() + static_cast<int64_t>(timeoutMs) * 1000;
		for (int64_t left = end - NowUs(); waiting_ > 0 && left > 0; left = end - NowUs()) {
			pollfd fds[2] = {{four_.get(), POLLIN, 0}, {six_.get(), POLLIN, 0}};
			if (poll(fds, 2, static_cast<int>(left / 1000 + 1)) < 0 && errno != EINTR)
				ThrowErrno("ping", "poll");
			Receive();
		}
		return results_;
	}

private:
	void Open()
	{
		if (v4_) {
			four_ = Fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
			if (four_.get() < 0)
				ThrowErrno("ping", "raw ICMP socket");
			icmp_filter filter = {~(1U << ICMP_ECHOREPLY)};
			if (setsockopt(four_.get(), SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) < 0)
				ThrowErrno("ping", "ICMP_FILTER");
		}
		if (v6_) {
			six_ = Fd(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));
			if (six_.get() < 0)
				ThrowErrno("ping", "raw ICMPv6 socket");
			icmp6_filter filter;
			ICMP6_FILTER_SETBLOCKALL(&filter);
			ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
			if (setsockopt(six_.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0)
				ThrowErrno("ping", "ICMP6_FILTER");
		}
	}

	void Send(size_t i)
	{
		const uint8_t *address = &addresses_[i * kAddress];
		const bool v4 = IsV4(address);
		Echo echo = {};
		echo.type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
		echo.id = id_;
		echo.sequence = htons(static_cast<uint16_t>(i));
		echo.nonce = nonce_;
		sockaddr_in to4 = {};
		sockaddr_in6 to6 = {};
		const sockaddr *to = reinterpret_cast<sockaddr *>(&to6);
		socklen_t size = sizeof(to6);
		if (v4) {
			echo.checksum = Checksum(&echo, sizeof(echo));
			to4.sin_family = AF_INET;
			memcpy(&to4.sin_addr, address + 12, 4);
			to = reinterpret_cast<sockaddr *>(&to4);
			size = sizeof(to4);
		} else {
			// The kernel adds the checksum, which needs the source address.
			to6.sin6_family = AF_INET6;
			memcpy(&to6.sin6_addr, address, kAddress);
		}
		sent_[i] = NowUs();
		if (sendto(v4 ? four_.get() : six_.get(), &echo, sizeof(echo), 0, to, size) < 0)
			results_[i] = -1 - errno;
		else
			waiting_++;
	}

	void Receive()
	{
		if (four_.get() >= 0)
			Drain(four_.get(), true);
		if (six_.get() >= 0)
			Drain(six_.get(), false);
	}

	void Drain(int fd, bool v4)
	{
		uint8_t packet[512];
		sockaddr_storage from;
		for (;;) {
			socklen_t size = sizeof(from);
			const ssize_t length = recvfrom(
				fd, packet, sizeof(packet), MSG_DONTWAIT, reinterpret_cast<sockaddr *>(&from), &size);
			if (length < 0)
				return;
			// IPv4 comes with its header.
			const size_t skip = v4 && length > 0 ? static_cast<size_t>(packet[0] & 0x0f) * 4 : 0;
			if (static_cast<size_t>(length) >= skip + sizeof(Echo))
				Take(packet + skip, from, v4);
		}
	}

	void Take(const uint8_t *bytes, const sockaddr_storage &from, bool v4)
	{
		Echo echo;
		memcpy(&echo, bytes, sizeof(echo));
		const size_t i = ntohs(echo.sequence);
		if (echo.type != (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) || echo.id != id_ || echo.nonce != nonce_ ||
			i >= count_ || results_[i] != kNoAnswer || sent_[i] == 0)
			return;
		const uint8_t *address = &addresses_[i * kAddress];
		const bool same =
			v4 ? IsV4(address) && memcmp(&reinterpret_cast<const sockaddr_in &>(from).sin_addr,
						      address + 12, 4) == 0
			   : memcmp(&reinterpret_cast<const sockaddr_in6 &>(from).sin6_addr, address, kAddress) == 0;
		if (!same)
			return;
		results_[i] = static_cast<int32_t>(std::min<int64_t>(NowUs() - sent_[i], INT32_MAX));
		waiting_--;
	}

	Bytes addresses_;
	size_t count_;
	std::vector<int32_t> results_;
	std::vector<int64_t> sent_;
	size_t waiting_ = 0;
	uint16_t id_ = 0;
	uint64_t nonce_ = 0;
	bool v4_ = false;
	bool v6_ = false;
	Fd four_;
	Fd six_;
};

// ping(netns | undefined, addresses: 16 bytes each, timeoutMs) -> number[]:
// microseconds, -1 without an answer, -1 - errno when it could not be sent
Napi::Value Ping(const Napi::CallbackInfo &info)
{
	Bytes addresses = GetBytes(info[1], "addresses");
	if (addresses.size() % kAddress != 0 || addresses.size() > kMost * kAddress)
		throw Napi::RangeError::New(info.Env(), "addresses must be at most 1024 of 16 bytes each");
	return Async(info.Env(), [netns = GetOptionalString(info[0], "netns"), addresses = std::move(addresses),
					 timeoutMs = GetU32(info[2], "timeoutMs")] {
		std::vector<int32_t> results;
		InNetns(netns, [&] { results = Pinger(addresses).Run(timeoutMs); });
		return Finish([results](Napi::Env env) {
			auto array = Napi::Array::New(env, results.size());
			for (size_t i = 0; i < results.size(); i++)
				array.Set(static_cast<uint32_t>(i), results[i]);
			return array.As<Napi::Value>();
		});
	});
}

} // namespace

void InitPing(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "ping", Ping);
}

} // namespace weir

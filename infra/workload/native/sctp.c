// SPDX-License-Identifier: Apache-2.0
#include "sctp.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#define HEADER_BYTES 12
#define CHUNK_BYTES 4
#define INIT_BYTES 20
#define COOKIE_BYTES 8
#define COOKIE_PARAMETER 7
#define CRC32C 0x82f63b78u

static uint32_t crc32c(const uint8_t *data, size_t bytes)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < bytes; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C : 0);
	}
	return ~crc;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)(value >> 16));
	put16(at + 2, (uint16_t)value);
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static size_t begin(uint8_t *packet, uint16_t from_port, uint16_t to_port, uint32_t verification_tag)
{
	memset(packet, 0, SCTP_MAX_BYTES);
	put16(packet, from_port);
	put16(packet + 2, to_port);
	put32(packet + 4, verification_tag);
	return HEADER_BYTES;
}

static size_t chunk(uint8_t *at, uint8_t type, size_t bytes)
{
	at[0] = type;
	put16(at + 2, (uint16_t)bytes);
	return bytes;
}

/* RFC 9260 appendix A: the sum is sent least significant byte first. */
static size_t seal(uint8_t *packet, size_t bytes)
{
	uint32_t sum = htole32(crc32c(packet, bytes));

	memcpy(packet + 8, &sum, sizeof(sum));
	return bytes;
}

static void init_body(uint8_t *at, uint32_t tag)
{
	put32(at + 4, tag);
	put32(at + 8, 65536); /* receiver window */
	put16(at + 12, 1); /* streams each way */
	put16(at + 14, 1);
	put32(at + 16, tag); /* initial TSN: any */
}

size_t sctp_init(uint8_t *packet, uint16_t from_port, uint16_t to_port, uint32_t tag)
{
	size_t bytes = begin(packet, from_port, to_port, 0);

	init_body(packet + bytes, tag);
	return seal(packet, bytes + chunk(packet + bytes, SCTP_CHUNK_INIT, INIT_BYTES));
}

size_t sctp_init_ack(uint8_t *packet, const struct sctp_summary *init)
{
	size_t bytes = begin(packet, init->to_port, init->from_port, init->initiate_tag);

	init_body(packet + bytes, init->initiate_tag ^ 0x5a5a5a5a);
	put16(packet + bytes + INIT_BYTES, COOKIE_PARAMETER);
	put16(packet + bytes + INIT_BYTES + 2, COOKIE_BYTES);
	return seal(packet, bytes + chunk(packet + bytes, SCTP_CHUNK_INIT_ACK, INIT_BYTES + COOKIE_BYTES));
}

size_t sctp_abort(uint8_t *packet, const struct sctp_summary *init)
{
	size_t bytes = begin(packet, init->to_port, init->from_port, init->initiate_tag);

	return seal(packet, bytes + chunk(packet + bytes, SCTP_CHUNK_ABORT, CHUNK_BYTES));
}

bool sctp_read(const uint8_t *packet, size_t bytes, struct sctp_summary *summary)
{
	uint8_t copy[SCTP_MAX_BYTES];

	if (bytes < HEADER_BYTES + CHUNK_BYTES || bytes > sizeof(copy))
		return false;
	memcpy(copy, packet, bytes);
	memset(copy + 8, 0, 4);
	uint32_t sum = htole32(crc32c(copy, bytes));

	if (memcmp(&sum, packet + 8, sizeof(sum)) != 0)
		return false;
	*summary = (struct sctp_summary){.from_port = get16(packet),
		.to_port = get16(packet + 2),
		.verification_tag = get32(packet + 4),
		.chunk = packet[HEADER_BYTES]};
	if (summary->chunk != SCTP_CHUNK_INIT && summary->chunk != SCTP_CHUNK_INIT_ACK)
		return true;
	if (bytes < HEADER_BYTES + INIT_BYTES)
		return false;
	summary->initiate_tag = get32(packet + HEADER_BYTES + 4);
	return true;
}

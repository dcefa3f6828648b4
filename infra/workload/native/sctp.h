/* SPDX-License-Identifier: Apache-2.0 */
/* The three SCTP packets with which a handshake begins or is refused (RFC 9260): INIT, INIT ACK, ABORT. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCTP_MAX_BYTES 64

enum sctp_chunk { SCTP_CHUNK_INIT = 1, SCTP_CHUNK_INIT_ACK = 2, SCTP_CHUNK_ABORT = 6 };

struct sctp_summary {
	uint16_t from_port, to_port;
	uint32_t verification_tag;
	uint8_t chunk;
	uint32_t initiate_tag; /* of INIT and INIT ACK */
};

/* Each returns how many bytes the packet has. */
size_t sctp_init(uint8_t *packet, uint16_t from_port, uint16_t to_port, uint32_t tag);
size_t sctp_init_ack(uint8_t *packet, const struct sctp_summary *init);
size_t sctp_abort(uint8_t *packet, const struct sctp_summary *init);
/* False when it is no whole packet with a right checksum. */
bool sctp_read(const uint8_t *packet, size_t bytes, struct sctp_summary *summary);

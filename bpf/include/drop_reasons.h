/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Drop reasons keep Cilium's numbers where they mean the same. One table: the
 * enum and the texts users see (section `drop_texts` of abi.bpf.o) come from it.
 */
#ifndef WEIR_DROP_REASONS_H
#define WEIR_DROP_REASONS_H

#define WEIR_DROP_REASONS(X) \
	X(NONE, 0, "Success") \
	X(INVALID_SOURCE_MAC, 130, "Invalid source mac") \
	X(INVALID_DESTINATION_MAC, 131, "Invalid destination mac") \
	X(INVALID_SOURCE_IP, 132, "Invalid source ip") \
	X(POLICY_DENIED, 133, "Policy denied") \
	X(INVALID_PACKET, 134, "Invalid packet") \
	X(CT_INVALID_HEADER, 135, "CT: Truncated or invalid header") \
	X(FRAGMENTATION_NEEDED, 136, "Fragmentation needed") \
	X(CT_UNKNOWN_PROTO, 137, "CT: Unknown L4 protocol") \
	X(UNSUPPORTED_L3, 139, "Unsupported L3 protocol") \
	X(WRITE_ERROR, 141, "Error writing to packet") \
	X(NO_TUNNEL_KEY, 147, "Error retrieving tunnel key") \
	X(CT_INSERT_FAILED, 155, "CT: Map insertion failed") \
	X(INVALID_IPV6_EXTENSION, 156, "Invalid IPv6 extension header") \
	X(FRAGMENT_UNSUPPORTED, 157, "IP fragmentation not supported") \
	X(NO_BACKEND, 158, "Service backend not found") \
	X(NO_TUNNEL_ENDPOINT, 160, "No tunnel/encapsulation endpoint") \
	X(EDT_HORIZON, 162, "Reached EDT rate-limiting drop horizon") \
	X(UNSUPPORTED_L2, 166, "Unsupported L2 protocol") \
	X(NAT_NO_MAPPING, 167, "No mapping for NAT masquerade") \
	X(NAT_UNSUPPORTED_PROTO, 168, "Unsupported protocol for NAT masquerade") \
	X(NO_FIB, 169, "FIB lookup failed") \
	X(ENCAPSULATION_PROHIBITED, 170, "Encapsulation traffic is prohibited") \
	X(INVALID_IDENTITY, 171, "Invalid identity") \
	X(UNKNOWN_SENDER, 172, "Unknown sender") \
	X(IS_CLUSTER_IP, 174, "Is a ClusterIP") \
	X(FRAGMENT_NOT_FOUND, 175, "First logical datagram fragment not found") \
	X(FORBIDDEN_ICMPV6, 176, "Forbidden ICMPv6 message") \
	X(NOT_IN_SOURCE_RANGE, 177, "Denied by LB src range check") \
	X(POLICY_DENY, 181, "Policy denied by denylist") \
	X(VLAN_FILTERED, 182, "VLAN traffic disallowed by VLAN filter") \
	X(UNSUPPORTED_FOR_DSR, 193, "Unsupported packet protocol for DSR encapsulation") \
	X(NO_EGRESS_GATEWAY, 194, "No egress gateway found") \
	X(UNENCRYPTED, 195, "Traffic is unencrypted") \
	X(TTL_EXCEEDED, 196, "TTL exceeded") \
	X(EP_NOT_READY, 203, "Endpoint policy program not available") \
	X(NO_EGRESS_IP, 204, "No Egress IP configured") \
	X(PREFILTER, 240, "Source denied by prefilter")

#endif

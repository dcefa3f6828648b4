// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by `npm run build`. Do not edit.
/** Drop reasons by number, with the text that users see. */

export interface DropText {
  readonly name: string;
  readonly text: string;
}

export const DROP_TEXT: Readonly<Record<number, DropText>> = {
  0: { name: 'NONE', text: 'Success' },
  130: { name: 'INVALID_SOURCE_MAC', text: 'Invalid source mac' },
  131: { name: 'INVALID_DESTINATION_MAC', text: 'Invalid destination mac' },
  132: { name: 'INVALID_SOURCE_IP', text: 'Invalid source ip' },
  133: { name: 'POLICY_DENIED', text: 'Policy denied' },
  134: { name: 'INVALID_PACKET', text: 'Invalid packet' },
  135: { name: 'CT_INVALID_HEADER', text: 'CT: Truncated or invalid header' },
  136: { name: 'FRAGMENTATION_NEEDED', text: 'Fragmentation needed' },
  137: { name: 'CT_UNKNOWN_PROTO', text: 'CT: Unknown L4 protocol' },
  139: { name: 'UNSUPPORTED_L3', text: 'Unsupported L3 protocol' },
  141: { name: 'WRITE_ERROR', text: 'Error writing to packet' },
  147: { name: 'NO_TUNNEL_KEY', text: 'Error retrieving tunnel key' },
  155: { name: 'CT_INSERT_FAILED', text: 'CT: Map insertion failed' },
  156: { name: 'INVALID_IPV6_EXTENSION', text: 'Invalid IPv6 extension header' },
  157: { name: 'FRAGMENT_UNSUPPORTED', text: 'IP fragmentation not supported' },
  158: { name: 'NO_BACKEND', text: 'Service backend not found' },
  160: { name: 'NO_TUNNEL_ENDPOINT', text: 'No tunnel/encapsulation endpoint' },
  162: { name: 'EDT_HORIZON', text: 'Reached EDT rate-limiting drop horizon' },
  166: { name: 'UNSUPPORTED_L2', text: 'Unsupported L2 protocol' },
  167: { name: 'NAT_NO_MAPPING', text: 'No mapping for NAT masquerade' },
  168: { name: 'NAT_UNSUPPORTED_PROTO', text: 'Unsupported protocol for NAT masquerade' },
  169: { name: 'NO_FIB', text: 'FIB lookup failed' },
  170: { name: 'ENCAPSULATION_PROHIBITED', text: 'Encapsulation traffic is prohibited' },
  171: { name: 'INVALID_IDENTITY', text: 'Invalid identity' },
  172: { name: 'UNKNOWN_SENDER', text: 'Unknown sender' },
  174: { name: 'IS_CLUSTER_IP', text: 'Is a ClusterIP' },
  175: { name: 'FRAGMENT_NOT_FOUND', text: 'First logical datagram fragment not found' },
  176: { name: 'FORBIDDEN_ICMPV6', text: 'Forbidden ICMPv6 message' },
  177: { name: 'NOT_IN_SOURCE_RANGE', text: 'Denied by LB src range check' },
  181: { name: 'POLICY_DENY', text: 'Policy denied by denylist' },
  182: { name: 'VLAN_FILTERED', text: 'VLAN traffic disallowed by VLAN filter' },
  193: { name: 'UNSUPPORTED_FOR_DSR', text: 'Unsupported packet protocol for DSR encapsulation' },
  194: { name: 'NO_EGRESS_GATEWAY', text: 'No egress gateway found' },
  195: { name: 'UNENCRYPTED', text: 'Traffic is unencrypted' },
  196: { name: 'TTL_EXCEEDED', text: 'TTL exceeded' },
  203: { name: 'EP_NOT_READY', text: 'Endpoint policy program not available' },
  204: { name: 'NO_EGRESS_IP', text: 'No Egress IP configured' },
  240: { name: 'PREFILTER', text: 'Source denied by prefilter' },
};

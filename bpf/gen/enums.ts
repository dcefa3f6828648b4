// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by `npm run build`. Do not edit.
/** The enums of bpf/include/abi.h. */

export const weir_abi = {
  WEIR_ABI_VERSION: 1,
} as const;
export type weir_abi = (typeof weir_abi)[keyof typeof weir_abi];

export const weir_affinity_client = {
  AFFINITY_ADDRESS: 0,
  AFFINITY_NETNS: 1,
} as const;
export type weir_affinity_client = (typeof weir_affinity_client)[keyof typeof weir_affinity_client];

export const weir_announce_limits = {
  WEIR_MAX_ANNOUNCED: 65536,
} as const;
export type weir_announce_limits = (typeof weir_announce_limits)[keyof typeof weir_announce_limits];

export const weir_announce_state = {
  ANNOUNCE_HELD: 0,
  ANNOUNCE_YIELDED: 1,
} as const;
export type weir_announce_state = (typeof weir_announce_state)[keyof typeof weir_announce_state];

export const weir_backend_flags = {
  BACKEND_LOCAL: 1,
  BACKEND_DSR: 2,
} as const;
export type weir_backend_flags = (typeof weir_backend_flags)[keyof typeof weir_backend_flags];

export const weir_cgroup_number = {
  CGROUP_NUMBER: 1073741824,
} as const;
export type weir_cgroup_number = (typeof weir_cgroup_number)[keyof typeof weir_cgroup_number];

export const weir_counter = {
  COUNTER_PACKETS_IN: 0,
  COUNTER_PACKETS_OUT: 1,
  COUNTER_EVENTS: 2,
  COUNTER_EVENTS_LOST: 3,
  COUNTER_CT_CREATED: 4,
  COUNTER_CT_INSERT_FAILED: 5,
  COUNTER_CT_EXPIRED: 6,
  COUNTER_HELPER_FAILED: 7,
  COUNTER_FRAG_INSERT_FAILED: 8,
  COUNTER_EVENTS_DEFERRED: 9,
  COUNTER_JUDGED: 10,
  COUNTER_CUT: 11,
  COUNTER_REDIRECTED: 12,
  COUNTER_EVENTS_THROTTLED: 13,
  COUNTER_EVENTS_HELD: 14,
  COUNTER_NAT_CREATED: 15,
  COUNTER_NAT_RETRIES: 16,
  COUNTER_NAT_FAILED: 17,
  COUNTER_NAT_EXPIRED: 18,
  COUNTER_NAT_OUT: 19,
  COUNTER_NAT_IN: 20,
  COUNTER_TUNNELLED: 21,
  COUNTER_EGRESS: 22,
  COUNTER_PACED: 23,
  COUNTER_SERVICE_SOCKETS: 24,
  COUNTER_SERVICE_REFUSED: 25,
  COUNTER_SERVICE_REVERSE_FAILED: 26,
  COUNTER_SERVICE_BINDS: 27,
  COUNTER_SERVICE_CONNECTIONS: 28,
  COUNTER_SERVICE_IN: 29,
  COUNTER_SERVICE_OUT: 30,
  COUNTER_SERVICE_STALE: 31,
  COUNTER_SERVICE_TOLD: 32,
  COUNTER_SERVICE_REVERSE_CREATED: 33,
  COUNTER_SERVICE_REVERSE_ENDED: 34,
  COUNTER_SERVICE_AFFINITY_CREATED: 35,
  COUNTER_SERVICE_ENCAPSULATED: 48,
  COUNTER_SERVICE_TAKEN_OFF: 53,
  COUNTER_SERVICE_FLOW_HIT: 49,
  COUNTER_SERVICE_FLOW_MISS: 50,
  COUNTER_SERVICE_FLOW_FLOOD: 51,
  COUNTER_SERVICE_TOO_BIG: 52,
  COUNTER_SERVICE_MARKED: 54,
  COUNTER_SERVICE_TURNED: 55,
  COUNTER_SERVICE_SENT: 56,
  COUNTER_SERVICE_GIVEN_BACK: 57,
  COUNTER_SERVICE_NO_NEIGHBOUR: 58,
  COUNTER_SOCKETS_OUT: 59,
  COUNTER_SOCKETS_IN: 60,
  COUNTER_SOCKETS_BUSY: 61,
  COUNTER_ANSWERED_RESET: 36,
  COUNTER_ANSWERED_ICMP: 37,
  COUNTER_ANSWERS_HELD: 38,
  COUNTER_DRAINED: 39,
  COUNTER_MAX: 64,
} as const;
export type weir_counter = (typeof weir_counter)[keyof typeof weir_counter];

export const weir_ct_flags = {
  CT_INGRESS: 1,
  CT_REPLIED: 2,
  CT_FIN_ORIG: 4,
  CT_FIN_REPLY: 8,
  CT_RST: 16,
  CT_CUT: 32,
  CT_MATCHED: 64,
  CT_ESTABLISHED: 128,
  CT_LOCAL_PEER: 256,
  CT_ENCRYPTED_SENT: 512,
  CT_ENCRYPTED_RECEIVED: 1024,
  CT_SERVICE: 2048,
  CT_PEER_SOCKET: 4096,
  CT_DRAINS: 16384,
  CT_ITSELF: 8192,
} as const;
export type weir_ct_flags = (typeof weir_ct_flags)[keyof typeof weir_ct_flags];

export const weir_ct_icmp = {
  CT_ICMP_NONE: 0,
  CT_ICMP_ASKED: 1,
  CT_ICMP_ANSWERS: 2,
  CT_ICMP_SENT: 3,
  CT_ICMP_RECEIVED: 4,
  CT_ICMP_RELATED_SENT: 5,
  CT_ICMP_RELATED_RECEIVED: 6,
} as const;
export type weir_ct_icmp = (typeof weir_ct_icmp)[keyof typeof weir_ct_icmp];

export const weir_direction = {
  DIRECTION_UNKNOWN: 0,
  DIRECTION_INGRESS: 1,
  DIRECTION_EGRESS: 2,
} as const;
export type weir_direction = (typeof weir_direction)[keyof typeof weir_direction];

export const weir_drop_reason = {
  DROP_NONE: 0,
  DROP_INVALID_SOURCE_MAC: 130,
  DROP_INVALID_DESTINATION_MAC: 131,
  DROP_INVALID_SOURCE_IP: 132,
  DROP_POLICY_DENIED: 133,
  DROP_INVALID_PACKET: 134,
  DROP_CT_INVALID_HEADER: 135,
  DROP_FRAGMENTATION_NEEDED: 136,
  DROP_CT_UNKNOWN_PROTO: 137,
  DROP_UNSUPPORTED_L3: 139,
  DROP_WRITE_ERROR: 141,
  DROP_NO_TUNNEL_KEY: 147,
  DROP_CT_INSERT_FAILED: 155,
  DROP_INVALID_IPV6_EXTENSION: 156,
  DROP_FRAGMENT_UNSUPPORTED: 157,
  DROP_NO_BACKEND: 158,
  DROP_NO_TUNNEL_ENDPOINT: 160,
  DROP_EDT_HORIZON: 162,
  DROP_UNSUPPORTED_L2: 166,
  DROP_NAT_NO_MAPPING: 167,
  DROP_NAT_UNSUPPORTED_PROTO: 168,
  DROP_NO_FIB: 169,
  DROP_ENCAPSULATION_PROHIBITED: 170,
  DROP_INVALID_IDENTITY: 171,
  DROP_UNKNOWN_SENDER: 172,
  DROP_IS_CLUSTER_IP: 174,
  DROP_FRAGMENT_NOT_FOUND: 175,
  DROP_FORBIDDEN_ICMPV6: 176,
  DROP_NOT_IN_SOURCE_RANGE: 177,
  DROP_POLICY_DENY: 181,
  DROP_VLAN_FILTERED: 182,
  DROP_UNSUPPORTED_FOR_DSR: 193,
  DROP_NO_EGRESS_GATEWAY: 194,
  DROP_UNENCRYPTED: 195,
  DROP_TTL_EXCEEDED: 196,
  DROP_EP_NOT_READY: 203,
  DROP_NO_EGRESS_IP: 204,
  DROP_PREFILTER: 240,
} as const;
export type weir_drop_reason = (typeof weir_drop_reason)[keyof typeof weir_drop_reason];

export const weir_egress_bits = {
  EGRESS_SET_BITS: 32,
} as const;
export type weir_egress_bits = (typeof weir_egress_bits)[keyof typeof weir_egress_bits];

export const weir_egress_flags = {
  EGRESS_ALIVE: 1,
} as const;
export type weir_egress_flags = (typeof weir_egress_flags)[keyof typeof weir_egress_flags];

export const weir_event_kind = {
  EVENT_FLOW: 1,
  EVENT_PROCESS_EXEC: 2,
  EVENT_PROCESS_FORK: 3,
  EVENT_PROCESS_EXIT: 4,
  EVENT_PROCESS_SEEN: 5,
  EVENT_PROCESS_DATA: 6,
  EVENT_RUNTIME_CALL: 7,
  EVENT_KIND_MAX: 8,
} as const;
export type weir_event_kind = (typeof weir_event_kind)[keyof typeof weir_event_kind];

export const weir_host_endpoint = {
  HOST_IFINDEX: 1073741823,
} as const;
export type weir_host_endpoint = (typeof weir_host_endpoint)[keyof typeof weir_host_endpoint];

export const weir_identity = {
  IDENTITY_UNKNOWN: 0,
  IDENTITY_HOST: 1,
  IDENTITY_WORLD: 2,
  IDENTITY_UNMANAGED: 3,
  IDENTITY_HEALTH: 4,
  IDENTITY_INIT: 5,
  IDENTITY_REMOTE_NODE: 6,
  IDENTITY_KUBE_APISERVER: 7,
  IDENTITY_INGRESS: 8,
  IDENTITY_WORLD_IPV4: 9,
  IDENTITY_WORLD_IPV6: 10,
  IDENTITY_FIRST_ALLOCATED: 256,
  IDENTITY_SCOPE_CIDR: 16777216,
  IDENTITY_SCOPE_REMOTE_NODE: 33554432,
  IDENTITY_SCOPE_IPBLOCK: 67108864,
  IDENTITY_SCOPE_MASK: 4278190080,
} as const;
export type weir_identity = (typeof weir_identity)[keyof typeof weir_identity];

export const weir_limits = {
  WEIR_MAX_WORKLOADS: 4096,
  WEIR_MAX_IPCACHE: 524288,
  WEIR_MAX_HOSTS: 16384,
  WEIR_MAX_IDENTITIES: 262144,
  WEIR_MAX_CIDRS: 65536,
  WEIR_MAX_CONNTRACK: 524288,
  WEIR_MAX_FRAGS: 16384,
  WEIR_MAX_POLICY: 16384,
  WEIR_MAX_THROTTLED: 16384,
  WEIR_EVENTS_BYTES: 8388608,
  WEIR_MAX_IPV6_EXT: 8,
  WEIR_MAX_UPLINKS: 64,
  WEIR_MAX_STRICT: 4096,
  WEIR_MAX_NAT: 131072,
  WEIR_MAX_UNMASQUERADED: 65536,
  WEIR_MAX_VLANS: 4096,
  WEIR_MAX_PREFILTER: 524288,
  WEIR_MAX_EGRESS_SOURCES: 262144,
  WEIR_MAX_EGRESS_ROUTES: 65536,
  WEIR_MAX_EGRESS_GROUPS: 1024,
  WEIR_MAX_EGRESS_GATEWAYS: 4096,
  WEIR_ANSWERS_PER_SECOND: 1000,
  WEIR_NAT_TRIES: 32,
} as const;
export type weir_limits = (typeof weir_limits)[keyof typeof weir_limits];

export const weir_maglev_bits = {
  MAGLEV_CHANGED: 2147483648,
} as const;
export type weir_maglev_bits = (typeof weir_maglev_bits)[keyof typeof weir_maglev_bits];

export const weir_marks = {
  MARK_WIREGUARD: 1459617793,
  MARK_DECRYPTED: 1459617794,
  MARK_ANSWER: 1459617795,
} as const;
export type weir_marks = (typeof weir_marks)[keyof typeof weir_marks];

export const weir_nat_flags = {
  NAT_SERVICE: 65536,
  NAT_BOTH: 131072,
  NAT_ANSWER: 262144,
  NAT_KINDS: 458752,
} as const;
export type weir_nat_flags = (typeof weir_nat_flags)[keyof typeof weir_nat_flags];

export const weir_nat_sweep_flags = {
  NAT_SWEEP_ORPHANS: 1,
} as const;
export type weir_nat_sweep_flags = (typeof weir_nat_sweep_flags)[keyof typeof weir_nat_sweep_flags];

export const weir_policy_bits = {
  POLICY_STATIC_BITS: 40,
  POLICY_FULL_BITS: 64,
} as const;
export type weir_policy_bits = (typeof weir_policy_bits)[keyof typeof weir_policy_bits];

export const weir_policy_section = {
  POLICY_EGRESS: 1,
  POLICY_TIER_NORMAL: 0,
  POLICY_TIER_ADMIN: 2,
  POLICY_TIER_BASELINE: 4,
  POLICY_TIER_DEFAULT: 6,
  POLICY_VIEW_AUDITED: 8,
  POLICY_VIEW_PENDING: 16,
} as const;
export type weir_policy_section = (typeof weir_policy_section)[keyof typeof weir_policy_section];

export const weir_policy_verdict = {
  POLICY_ALLOW: 0,
  POLICY_DENY: 1,
  POLICY_PASS: 2,
  POLICY_DENY_RESET: 3,
  POLICY_DENY_ICMP: 4,
} as const;
export type weir_policy_verdict = (typeof weir_policy_verdict)[keyof typeof weir_policy_verdict];

export const weir_process_counter = {
  PROCESS_COUNT_EXEC: 0,
  PROCESS_COUNT_FORK: 1,
  PROCESS_COUNT_EXIT: 2,
  PROCESS_COUNT_SEEN: 3,
  PROCESS_COUNT_DATA: 4,
  PROCESS_COUNT_LOST_EXEC: 5,
  PROCESS_COUNT_LOST_FORK: 6,
  PROCESS_COUNT_LOST_EXIT: 7,
  PROCESS_COUNT_LOST_SEEN: 8,
  PROCESS_COUNT_LOST_DATA: 9,
  PROCESS_COUNT_MAP_FULL: 10,
  PROCESS_COUNT_NO_OWNER: 11,
  PROCESS_COUNT_MAX: 16,
} as const;
export type weir_process_counter = (typeof weir_process_counter)[keyof typeof weir_process_counter];

export const weir_process_data = {
  PROCESS_DATA_ARGS: 1,
  PROCESS_DATA_ENV: 2,
} as const;
export type weir_process_data = (typeof weir_process_data)[keyof typeof weir_process_data];

export const weir_process_flags = {
  PROCESS_CLONE: 1,
  PROCESS_OLD: 2,
  PROCESS_SETUID: 4,
  PROCESS_SETGID: 8,
  PROCESS_RAISED: 16,
  PROCESS_NO_FILE: 32,
  PROCESS_BINARY_CUT: 64,
  PROCESS_CWD_CUT: 128,
  PROCESS_ARGS_CUT: 256,
  PROCESS_ENV_CUT: 512,
  PROCESS_ARGS_FAILED: 1024,
  PROCESS_ENV_FAILED: 2048,
  PROCESS_ROOT_CWD: 4096,
  PROCESS_NO_CWD: 8192,
  PROCESS_SECURE: 16384,
} as const;
export type weir_process_flags = (typeof weir_process_flags)[keyof typeof weir_process_flags];

export const weir_process_limits = {
  WEIR_MAX_PROCESSES: 131072,
  WEIR_PROCESS_EVENTS_BYTES: 8388608,
  WEIR_PATH_BYTES: 4096,
  WEIR_BINARY_BYTES: 256,
  WEIR_PROCESS_CHUNK: 8192,
  WEIR_PROCESS_CHUNKS: 512,
  WEIR_MAX_SOCKET_PROCESSES: 16384,
  WEIR_CGROUP_LEVELS: 64,
} as const;
export type weir_process_limits = (typeof weir_process_limits)[keyof typeof weir_process_limits];

export const weir_report = {
  REPORT_FIRST: 1,
  REPORT_FLAGS: 2,
  REPORT_INTERVAL: 3,
  REPORT_CLOSE: 4,
  REPORT_EXPIRED: 5,
  REPORT_DROP: 6,
} as const;
export type weir_report = (typeof weir_report)[keyof typeof weir_report];

export const weir_runtime_action = {
  RUNTIME_ACTION_POST: 1,
  RUNTIME_ACTION_SIGNAL: 2,
  RUNTIME_ACTION_MONITORED: 4,
} as const;
export type weir_runtime_action = (typeof weir_runtime_action)[keyof typeof weir_runtime_action];

export const weir_runtime_arg_flags = {
  RUNTIME_ARG_RETURN: 1,
} as const;
export type weir_runtime_arg_flags = (typeof weir_runtime_arg_flags)[keyof typeof weir_runtime_arg_flags];

export const weir_runtime_comparison = {
  RUNTIME_EQUAL: 0,
  RUNTIME_GREATER: 1,
  RUNTIME_LESS: 2,
  RUNTIME_MASK: 3,
  RUNTIME_RANGE: 4,
  RUNTIME_IN_LIST: 5,
  RUNTIME_PREFIX: 6,
  RUNTIME_POSTFIX: 7,
  RUNTIME_SUBSTRING: 8,
  RUNTIME_SUBSTRING_ANY_CASE: 9,
  RUNTIME_FILE_TYPE: 10,
  RUNTIME_SOURCE_PORT: 11,
  RUNTIME_SOURCE_PORT_PRIVILEGED: 12,
  RUNTIME_DESTINATION_PORT: 13,
  RUNTIME_DESTINATION_PORT_PRIVILEGED: 14,
  RUNTIME_SOURCE_ADDRESS: 15,
  RUNTIME_DESTINATION_ADDRESS: 16,
  RUNTIME_PROTOCOL: 17,
  RUNTIME_FAMILY: 18,
  RUNTIME_STATE: 19,
  RUNTIME_CAPABILITIES_GAINED: 20,
} as const;
export type weir_runtime_comparison = (typeof weir_runtime_comparison)[keyof typeof weir_runtime_comparison];

export const weir_runtime_filter_flags = {
  RUNTIME_NEGATED: 1,
  RUNTIME_SIGNED: 2,
  RUNTIME_FOLLOW: 4,
  RUNTIME_NAMESPACED: 8,
  RUNTIME_OF_HOST: 16,
} as const;
export type weir_runtime_filter_flags = (typeof weir_runtime_filter_flags)[keyof typeof weir_runtime_filter_flags];

export const weir_runtime_filter_kind = {
  RUNTIME_FILTER_ARG: 0,
  RUNTIME_FILTER_DATA: 1,
  RUNTIME_FILTER_RETURN: 2,
  RUNTIME_FILTER_PID: 3,
  RUNTIME_FILTER_BINARY: 4,
  RUNTIME_FILTER_PARENT_BINARY: 5,
  RUNTIME_FILTER_NAMESPACE: 6,
  RUNTIME_FILTER_NAMESPACE_CHANGE: 7,
  RUNTIME_FILTER_CAPABILITY: 8,
  RUNTIME_FILTER_CAPABILITY_CHANGE: 9,
  RUNTIME_FILTER_WORKLOAD: 10,
} as const;
export type weir_runtime_filter_kind = (typeof weir_runtime_filter_kind)[keyof typeof weir_runtime_filter_kind];

export const weir_runtime_hook_flags = {
  RUNTIME_HOOK_RETURNS: 1,
  RUNTIME_HOOK_SCOPED: 2,
  RUNTIME_HOOK_OF_HOST: 4,
  RUNTIME_HOOK_OF_WORKLOADS: 8,
} as const;
export type weir_runtime_hook_flags = (typeof weir_runtime_hook_flags)[keyof typeof weir_runtime_hook_flags];

export const weir_runtime_limits = {
  RUNTIME_HOOKS: 512,
  RUNTIME_WORDS: 8,
  RUNTIME_SITES: 1024,
  RUNTIME_COMPAT: 512,
  RUNTIME_ARGS: 8,
  RUNTIME_PLACES: 6,
  RUNTIME_SELECTORS: 5,
  RUNTIME_FILTERS: 64,
  RUNTIME_TEXTS: 8192,
  RUNTIME_TEXT_BYTES: 256,
  RUNTIME_RANGES: 16384,
  RUNTIME_PREFIXES: 4096,
  RUNTIME_CGROUPS: 65536,
  RUNTIME_DATA_BYTES: 16384,
  RUNTIME_PENDING: 8192,
  RUNTIME_PENDING_BYTES: 3072,
  RUNTIME_POSTED: 16384,
  RUNTIME_ANCESTORS: 64,
  RUNTIME_NAMESPACES: 10,
  RUNTIME_EVENTS_BYTES: 4194304,
} as const;
export type weir_runtime_limits = (typeof weir_runtime_limits)[keyof typeof weir_runtime_limits];

export const weir_runtime_rate_scope = {
  RUNTIME_RATE_THREAD: 0,
  RUNTIME_RATE_PROCESS: 1,
  RUNTIME_RATE_GLOBAL: 2,
} as const;
export type weir_runtime_rate_scope = (typeof weir_runtime_rate_scope)[keyof typeof weir_runtime_rate_scope];

export const weir_runtime_read = {
  RUNTIME_READ_NOTHING: 0,
  RUNTIME_READ_NUMBER: 1,
  RUNTIME_READ_STRING: 2,
  RUNTIME_READ_BYTES: 3,
  RUNTIME_READ_FD: 4,
  RUNTIME_READ_SOCKADDR: 5,
  RUNTIME_READ_IOVEC: 6,
} as const;
export type weir_runtime_read = (typeof weir_runtime_read)[keyof typeof weir_runtime_read];

export const weir_runtime_table = {
  RUNTIME_TABLE_NONE: 0,
  RUNTIME_TABLE_TEXTS: 1,
  RUNTIME_TABLE_RANGES: 2,
  RUNTIME_TABLE_PREFIXES: 3,
} as const;
export type weir_runtime_table = (typeof weir_runtime_table)[keyof typeof weir_runtime_table];

export const weir_runtime_value = {
  RUNTIME_VALUE_NONE: 0,
  RUNTIME_VALUE_NUMBER: 1,
  RUNTIME_VALUE_TEXT: 2,
  RUNTIME_VALUE_PATH: 3,
  RUNTIME_VALUE_UNIX: 4,
  RUNTIME_VALUE_ADDRESS: 5,
} as const;
export type weir_runtime_value = (typeof weir_runtime_value)[keyof typeof weir_runtime_value];

export const weir_runtime_value_flags = {
  RUNTIME_VALUE_CUT: 1,
} as const;
export type weir_runtime_value_flags = (typeof weir_runtime_value_flags)[keyof typeof weir_runtime_value_flags];

export const weir_service_count_bits = {
  COUNTS_PAST: 4294967295,
} as const;
export type weir_service_count_bits = (typeof weir_service_count_bits)[keyof typeof weir_service_count_bits];

export const weir_service_flags = {
  SERVICE_EXTERNAL_IP: 1,
  SERVICE_NODE_PORT: 2,
  SERVICE_EXTERNAL_LOCAL: 4,
  SERVICE_HOST_PORT: 8,
  SERVICE_AFFINITY: 16,
  SERVICE_LOAD_BALANCER: 32,
  SERVICE_ROUTABLE: 64,
  SERVICE_SOURCE_RANGE: 128,
  SERVICE_LOCAL_REDIRECT: 256,
  SERVICE_NAT46X64: 512,
  SERVICE_L7: 1024,
  SERVICE_LOOPBACK: 2048,
  SERVICE_INTERNAL_LOCAL: 4096,
  SERVICE_TWO_SCOPES: 8192,
  SERVICE_SOURCE_RANGE_DENY: 16384,
  SERVICE_DSR: 32768,
  SERVICE_NO_BACKEND_DROP: 65536,
  SERVICE_WILDCARD: 131072,
  SERVICE_DSR_IPIP: 262144,
  SERVICE_LEAST: 524288,
} as const;
export type weir_service_flags = (typeof weir_service_flags)[keyof typeof weir_service_flags];

export const weir_service_limits = {
  WEIR_MAX_SERVICES: 262144,
  WEIR_MAX_SERVICE_SLOTS: 2097152,
  WEIR_MAX_BACKENDS: 524288,
  WEIR_MAX_SERVICE_REVERSE: 262144,
  WEIR_MAX_SERVICE_AFFINITY: 65536,
  WEIR_MAX_SERVICE_RANGES: 262144,
  WEIR_MAX_SERVICE_FLOWS: 131072,
  WEIR_MAX_SERVICE_COUNTS: 524288,
  WEIR_MAX_SERVICE_TURNS: 131072,
  WEIR_SERVICE_PORT_TRIES: 8,
  WEIR_MAX_SERVICE_WAYS: 4096,
  WEIR_SERVICE_FLOOD: 125000,
  WEIR_MAX_MAGLEV_TABLES: 65536,
  WEIR_MAGLEV_SMALLEST: 251,
} as const;
export type weir_service_limits = (typeof weir_service_limits)[keyof typeof weir_service_limits];

export const weir_service_nat_flags = {
  HALF_COUNTED: 1,
} as const;
export type weir_service_nat_flags = (typeof weir_service_nat_flags)[keyof typeof weir_service_nat_flags];

export const weir_service_range_bits = {
  SERVICE_RANGE_STATIC_BITS: 32,
} as const;
export type weir_service_range_bits = (typeof weir_service_range_bits)[keyof typeof weir_service_range_bits];

export const weir_service_scope = {
  SERVICE_SCOPE_ANY: 0,
  SERVICE_SCOPE_INTERNAL: 1,
} as const;
export type weir_service_scope = (typeof weir_service_scope)[keyof typeof weir_service_scope];

export const weir_service_turn_flags = {
  TURN_COUNTED: 1073741824,
} as const;
export type weir_service_turn_flags = (typeof weir_service_turn_flags)[keyof typeof weir_service_turn_flags];

export const weir_sock_xlate = {
  SOCK_XLATE_NONE: 0,
  SOCK_XLATE_PRE_DIRECTION_FWD: 1,
  SOCK_XLATE_POST_DIRECTION_FWD: 2,
  SOCK_XLATE_PRE_DIRECTION_REV: 3,
  SOCK_XLATE_POST_DIRECTION_REV: 4,
} as const;
export type weir_sock_xlate = (typeof weir_sock_xlate)[keyof typeof weir_sock_xlate];

export const weir_sweep_flags = {
  SWEEP_REPORT_ALL: 1,
} as const;
export type weir_sweep_flags = (typeof weir_sweep_flags)[keyof typeof weir_sweep_flags];

export const weir_tcp_flags = {
  TCP_FIN: 1,
  TCP_SYN: 2,
  TCP_RST: 4,
  TCP_PSH: 8,
  TCP_ACK: 16,
  TCP_URG: 32,
  TCP_ECE: 64,
  TCP_CWR: 128,
} as const;
export type weir_tcp_flags = (typeof weir_tcp_flags)[keyof typeof weir_tcp_flags];

export const weir_trace_point = {
  TRACE_UNKNOWN: 0,
  TRACE_TO_ENDPOINT: 1,
  TRACE_TO_STACK: 2,
  TRACE_TO_HOST: 3,
  TRACE_TO_NETWORK: 4,
  TRACE_FROM_ENDPOINT: 5,
} as const;
export type weir_trace_point = (typeof weir_trace_point)[keyof typeof weir_trace_point];

export const weir_trace_reason = {
  TRACE_REASON_UNKNOWN: 0,
  TRACE_REASON_NEW: 1,
  TRACE_REASON_ESTABLISHED: 2,
  TRACE_REASON_REPLY: 3,
  TRACE_REASON_RELATED: 4,
} as const;
export type weir_trace_reason = (typeof weir_trace_reason)[keyof typeof weir_trace_reason];

export const weir_tunnel_flags = {
  TUNNEL_SEND: 1,
  TUNNEL_ONLY: 2,
  TUNNEL_ENCRYPTED: 4,
} as const;
export type weir_tunnel_flags = (typeof weir_tunnel_flags)[keyof typeof weir_tunnel_flags];

export const weir_uplink_flags = {
  UPLINK_VLAN_FILTER: 1,
  UPLINK_VLAN_ALL: 2,
  UPLINK_EGRESS: 4,
  UPLINK_STRICT: 8,
  UPLINK_STRICT_INGRESS: 16,
  UPLINK_STRICT_EXCEPT_HOSTS: 32,
  UPLINK_SERVICES: 64,
  UPLINK_GUARD_HOST: 128,
} as const;
export type weir_uplink_flags = (typeof weir_uplink_flags)[keyof typeof weir_uplink_flags];

export const weir_verdict = {
  VERDICT_UNKNOWN: 0,
  VERDICT_FORWARDED: 1,
  VERDICT_DROPPED: 2,
  VERDICT_ERROR: 3,
  VERDICT_AUDIT: 4,
  VERDICT_REDIRECTED: 5,
  VERDICT_TRACED: 6,
  VERDICT_TRANSLATED: 7,
} as const;
export type weir_verdict = (typeof weir_verdict)[keyof typeof weir_verdict];

export const weir_views = {
  VIEW_AUDITED: 1,
  VIEW_PENDING: 2,
  VIEW_PENDING_DENIED: 4,
} as const;
export type weir_views = (typeof weir_views)[keyof typeof weir_views];

export const weir_workload_flags = {
  WORKLOAD_READY: 1,
  WORKLOAD_ENFORCE_INGRESS: 2,
  WORKLOAD_ENFORCE_EGRESS: 4,
  WORKLOAD_ALLOW_HOST: 8,
  WORKLOAD_IPBLOCK: 16,
  WORKLOAD_LOCKDOWN: 32,
  WORKLOAD_NO_SOURCE_CHECK: 64,
  WORKLOAD_LIMITED: 128,
  WORKLOAD_EGRESS: 256,
  WORKLOAD_TIERS: 512,
  WORKLOAD_AUDITED: 1024,
  WORKLOAD_PENDING: 2048,
  WORKLOAD_GUARD_HOST: 4096,
  WORKLOAD_RESET_INGRESS: 8192,
  WORKLOAD_ICMP_INGRESS: 16384,
  WORKLOAD_RESET_EGRESS: 32768,
  WORKLOAD_ICMP_EGRESS: 65536,
} as const;
export type weir_workload_flags = (typeof weir_workload_flags)[keyof typeof weir_workload_flags];

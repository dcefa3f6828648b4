// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by `npm run build`. Do not edit.
/** Load-time configuration of each object: `const volatile` variables of .rodata, by which the verifier prunes. */
import * as codec from '../codec.ts';

export interface ConfigVariable {
  readonly name: string;
  readonly type: string;
  /** Inside the section, bytes. */
  readonly offset: number;
  readonly size: number;
  /** Value when the loader sets none; undefined where it is not a plain number. */
  readonly initial: number | bigint | boolean | undefined;
  readonly doc: string;
}

export interface ObjectConfig {
  readonly section: string;
  readonly size: number;
  readonly variables: Readonly<Record<string, ConfigVariable>>;
  /** Takes what the object's own interface says. */
  encode(values: never): Record<string, Buffer>;
}

/** Settings of cgroup.bpf.o; what is left out keeps its initial value. */
export interface cgroup_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

/** Settings of client.bpf.o; what is left out keeps its initial value. */
export interface client_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

/** Settings of frontend.bpf.o; what is left out keeps its initial value. */
export interface frontend_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

/** Settings of host.bpf.o; what is left out keeps its initial value. */
export interface host_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

/** Settings of nat64.bpf.o; what is left out keeps its initial value. */
export interface nat64_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

/** Settings of overlay.bpf.o; what is left out keeps its initial value. */
export interface overlay_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

/** Settings of process.bpf.o; what is left out keeps its initial value. */
export interface process_config {
  /** only processes below this cgroup are told; its id; 0 = all */
  readonly process_cgroup?: bigint;
  /** depth of that cgroup; the root has 0 */
  readonly process_cgroup_level?: number;
  /** arguments are read up to here, bytes */
  readonly process_args_bytes?: number;
  /** environment is read up to here, bytes; 0 = not at all */
  readonly process_env_bytes?: number;
  /** the reader of process_events is woken up when so much waits; bytes */
  readonly process_wakeup_bytes?: number;
}

/** Settings of runtime.bpf.o; what is left out keeps its initial value. */
export interface runtime_config {
  /** only processes below this cgroup are told; its id; 0 = all */
  readonly process_cgroup?: bigint;
  /** depth of that cgroup; the root has 0 */
  readonly process_cgroup_level?: number;
  /** arguments are read up to here, bytes */
  readonly process_args_bytes?: number;
  /** environment is read up to here, bytes; 0 = not at all */
  readonly process_env_bytes?: number;
  /** the reader of process_events is woken up when so much waits; bytes */
  readonly process_wakeup_bytes?: number;
  /** inode numbers of the host's namespaces */
  readonly runtime_host_namespaces?: readonly number[];
}

/** Settings of socket.bpf.o; what is left out keeps its initial value. */
export interface socket_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

/** Settings of wireguard.bpf.o; what is left out keeps its initial value. */
export interface wireguard_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

/** Settings of workload.bpf.o; what is left out keeps its initial value. */
export interface workload_config {
  /** an active connection is reported, and its verdict judged again, this often; nanoseconds */
  readonly flow_interval_ns?: bigint;
  /** a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds */
  readonly tcp_handshake_ns?: bigint;
  /** an established TCP connection is forgotten after this idle time; nanoseconds */
  readonly tcp_established_ns?: bigint;
  /** a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds */
  readonly tcp_closed_ns?: bigint;
  /** a connection of any other protocol is forgotten after this idle time; nanoseconds */
  readonly other_ns?: bigint;
  /** a workload is no longer throttled when none of its events was held back for so long; nanoseconds */
  readonly throttle_quiet_ns?: bigint;
  /** how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds */
  readonly bandwidth_horizon_ns?: bigint;
  /** how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds */
  readonly pacing_horizon_ns?: bigint;
  /** events that one workload may report, with a second's worth at once; 0 = no limit */
  readonly events_per_second?: number;
  /** the reader of the ring buffer is woken up when so much waits; bytes */
  readonly events_wakeup_bytes?: number;
  /** TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags */
  readonly report_tcp_flags?: number;
  /** 0 = no flow events at all, conntrack still counts; drops are reported always */
  readonly report_flows?: number;
  /** 0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK */
  readonly check_source?: number;
  /** 0 = every fragment of a datagram is dropped with 157 */
  readonly track_fragments?: number;
}

export const CONFIG = {
  cgroup: {
    section: '.rodata',
    size: 96,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: cgroup_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
  client: {
    section: '.rodata',
    size: 152,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: client_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
  frontend: {
    section: '.rodata',
    size: 156,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: frontend_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
  host: {
    section: '.rodata',
    size: 96,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: host_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
  nat64: {
    section: '.rodata',
    size: 96,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: nat64_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
  overlay: {
    section: '.rodata',
    size: 96,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: overlay_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
  process: {
    section: '.rodata',
    size: 24,
    variables: {
      process_cgroup: {
        name: 'process_cgroup',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 0n,
        doc: 'only processes below this cgroup are told; its id; 0 = all',
      },
      process_cgroup_level: {
        name: 'process_cgroup_level',
        type: 'u32',
        offset: 8,
        size: 4,
        initial: 0,
        doc: 'depth of that cgroup; the root has 0',
      },
      process_args_bytes: {
        name: 'process_args_bytes',
        type: 'u32',
        offset: 12,
        size: 4,
        initial: 8192,
        doc: 'arguments are read up to here, bytes',
      },
      process_env_bytes: {
        name: 'process_env_bytes',
        type: 'u32',
        offset: 16,
        size: 4,
        initial: 0,
        doc: 'environment is read up to here, bytes; 0 = not at all',
      },
      process_wakeup_bytes: {
        name: 'process_wakeup_bytes',
        type: 'u32',
        offset: 20,
        size: 4,
        initial: 2097152,
        doc: 'the reader of process_events is woken up when so much waits; bytes',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: process_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.process_cgroup !== undefined) out.process_cgroup = codec.u64.encode(values.process_cgroup);
      if (values.process_cgroup_level !== undefined) out.process_cgroup_level = codec.u32.encode(values.process_cgroup_level);
      if (values.process_args_bytes !== undefined) out.process_args_bytes = codec.u32.encode(values.process_args_bytes);
      if (values.process_env_bytes !== undefined) out.process_env_bytes = codec.u32.encode(values.process_env_bytes);
      if (values.process_wakeup_bytes !== undefined) out.process_wakeup_bytes = codec.u32.encode(values.process_wakeup_bytes);
      return out;
    },
  },
  runtime: {
    section: '.rodata',
    size: 192,
    variables: {
      process_cgroup: {
        name: 'process_cgroup',
        type: 'u64',
        offset: 128,
        size: 8,
        initial: 0n,
        doc: 'only processes below this cgroup are told; its id; 0 = all',
      },
      process_cgroup_level: {
        name: 'process_cgroup_level',
        type: 'u32',
        offset: 136,
        size: 4,
        initial: 0,
        doc: 'depth of that cgroup; the root has 0',
      },
      process_args_bytes: {
        name: 'process_args_bytes',
        type: 'u32',
        offset: 140,
        size: 4,
        initial: 8192,
        doc: 'arguments are read up to here, bytes',
      },
      process_env_bytes: {
        name: 'process_env_bytes',
        type: 'u32',
        offset: 144,
        size: 4,
        initial: 0,
        doc: 'environment is read up to here, bytes; 0 = not at all',
      },
      process_wakeup_bytes: {
        name: 'process_wakeup_bytes',
        type: 'u32',
        offset: 148,
        size: 4,
        initial: 2097152,
        doc: 'the reader of process_events is woken up when so much waits; bytes',
      },
      runtime_host_namespaces: {
        name: 'runtime_host_namespaces',
        type: 'u32[10]',
        offset: 152,
        size: 40,
        initial: undefined,
        doc: 'inode numbers of the host\'s namespaces',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: runtime_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.process_cgroup !== undefined) out.process_cgroup = codec.u64.encode(values.process_cgroup);
      if (values.process_cgroup_level !== undefined) out.process_cgroup_level = codec.u32.encode(values.process_cgroup_level);
      if (values.process_args_bytes !== undefined) out.process_args_bytes = codec.u32.encode(values.process_args_bytes);
      if (values.process_env_bytes !== undefined) out.process_env_bytes = codec.u32.encode(values.process_env_bytes);
      if (values.process_wakeup_bytes !== undefined) out.process_wakeup_bytes = codec.u32.encode(values.process_wakeup_bytes);
      if (values.runtime_host_namespaces !== undefined) out.runtime_host_namespaces = codec.array(codec.u32, 10).encode(values.runtime_host_namespaces);
      return out;
    },
  },
  socket: {
    section: '.rodata',
    size: 192,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: socket_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
  wireguard: {
    section: '.rodata',
    size: 96,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: wireguard_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
  workload: {
    section: '.rodata',
    size: 96,
    variables: {
      flow_interval_ns: {
        name: 'flow_interval_ns',
        type: 'u64',
        offset: 0,
        size: 8,
        initial: 5000000000n,
        doc: 'an active connection is reported, and its verdict judged again, this often; nanoseconds',
      },
      tcp_handshake_ns: {
        name: 'tcp_handshake_ns',
        type: 'u64',
        offset: 8,
        size: 8,
        initial: 60000000000n,
        doc: 'a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds',
      },
      tcp_established_ns: {
        name: 'tcp_established_ns',
        type: 'u64',
        offset: 16,
        size: 8,
        initial: 8000000000000n,
        doc: 'an established TCP connection is forgotten after this idle time; nanoseconds',
      },
      tcp_closed_ns: {
        name: 'tcp_closed_ns',
        type: 'u64',
        offset: 24,
        size: 8,
        initial: 10000000000n,
        doc: 'a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds',
      },
      other_ns: {
        name: 'other_ns',
        type: 'u64',
        offset: 32,
        size: 8,
        initial: 60000000000n,
        doc: 'a connection of any other protocol is forgotten after this idle time; nanoseconds',
      },
      throttle_quiet_ns: {
        name: 'throttle_quiet_ns',
        type: 'u64',
        offset: 40,
        size: 8,
        initial: 5000000000n,
        doc: 'a workload is no longer throttled when none of its events was held back for so long; nanoseconds',
      },
      bandwidth_horizon_ns: {
        name: 'bandwidth_horizon_ns',
        type: 'u64',
        offset: 48,
        size: 8,
        initial: 50000000n,
        doc: 'how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds',
      },
      pacing_horizon_ns: {
        name: 'pacing_horizon_ns',
        type: 'u64',
        offset: 56,
        size: 8,
        initial: 500000000n,
        doc: 'how long uplinks may keep a packet back by its workload\'s rate; a later one is dropped; nanoseconds',
      },
      events_per_second: {
        name: 'events_per_second',
        type: 'u32',
        offset: 64,
        size: 4,
        initial: 10000,
        doc: 'events that one workload may report, with a second\'s worth at once; 0 = no limit',
      },
      events_wakeup_bytes: {
        name: 'events_wakeup_bytes',
        type: 'u32',
        offset: 68,
        size: 4,
        initial: 2097152,
        doc: 'the reader of the ring buffer is woken up when so much waits; bytes',
      },
      report_tcp_flags: {
        name: 'report_tcp_flags',
        type: 'u8',
        offset: 72,
        size: 1,
        initial: 7,
        doc: 'TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags',
      },
      report_flows: {
        name: 'report_flows',
        type: 'u8',
        offset: 73,
        size: 1,
        initial: 1,
        doc: '0 = no flow events at all, conntrack still counts; drops are reported always',
      },
      check_source: {
        name: 'check_source',
        type: 'u8',
        offset: 74,
        size: 1,
        initial: 1,
        doc: '0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK',
      },
      track_fragments: {
        name: 'track_fragments',
        type: 'u8',
        offset: 75,
        size: 1,
        initial: 1,
        doc: '0 = every fragment of a datagram is dropped with 157',
      },
    },
    /** Bytes by variable name, as the loader takes them. */
    encode(values: workload_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
      if (values.flow_interval_ns !== undefined) out.flow_interval_ns = codec.u64.encode(values.flow_interval_ns);
      if (values.tcp_handshake_ns !== undefined) out.tcp_handshake_ns = codec.u64.encode(values.tcp_handshake_ns);
      if (values.tcp_established_ns !== undefined) out.tcp_established_ns = codec.u64.encode(values.tcp_established_ns);
      if (values.tcp_closed_ns !== undefined) out.tcp_closed_ns = codec.u64.encode(values.tcp_closed_ns);
      if (values.other_ns !== undefined) out.other_ns = codec.u64.encode(values.other_ns);
      if (values.throttle_quiet_ns !== undefined) out.throttle_quiet_ns = codec.u64.encode(values.throttle_quiet_ns);
      if (values.bandwidth_horizon_ns !== undefined) out.bandwidth_horizon_ns = codec.u64.encode(values.bandwidth_horizon_ns);
      if (values.pacing_horizon_ns !== undefined) out.pacing_horizon_ns = codec.u64.encode(values.pacing_horizon_ns);
      if (values.events_per_second !== undefined) out.events_per_second = codec.u32.encode(values.events_per_second);
      if (values.events_wakeup_bytes !== undefined) out.events_wakeup_bytes = codec.u32.encode(values.events_wakeup_bytes);
      if (values.report_tcp_flags !== undefined) out.report_tcp_flags = codec.u8.encode(values.report_tcp_flags);
      if (values.report_flows !== undefined) out.report_flows = codec.u8.encode(values.report_flows);
      if (values.check_source !== undefined) out.check_source = codec.u8.encode(values.check_source);
      if (values.track_fragments !== undefined) out.track_fragments = codec.u8.encode(values.track_fragments);
      return out;
    },
  },
} as const satisfies Record<string, ObjectConfig>;

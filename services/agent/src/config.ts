// SPDX-License-Identifier: Apache-2.0
/** Settings of the agent: WEIR_AGENT_<NAME>, and WEIR_TRUSTED_SIGNERS, which all programs share. */
import { loadConfig, settings } from '@weir/config';
import { weirError } from '@weir/errors';
import { type Static, Type } from 'typebox';
import { FAILPOINTS } from './apply/failpoint.ts';
import { FAILSAFE_FIX, parseFailsafe } from './plan/failsafe.ts';

const path = (description: string) => Type.String({ pattern: '^/', description });
const MIB = 1 << 20;

export const AgentSettings = Type.Object({
  host: Type.String({
    pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
    description: 'id of this host as registered in inventory (a DNS label)',
  }),
  natsUrl: settings.natsUrl(),
  natsSeed: Type.Optional(settings.natsSeed()),
  trustedSigners: settings.trustedSigners(),
  stateDir: Type.String({
    pattern: '^/',
    default: '/var/lib/weir/agent',
    description: 'folder for the last-known-good configuration and the spool of events',
  }),
  bpffsDir: Type.String({
    pattern: '^/',
    default: '/sys/fs/bpf/weir',
    description: 'folder in a bpffs for pinned maps and links',
  }),
  cgroup: Type.Optional(
    path(
      'cgroup v2 folder of this host, whose sockets are balanced and whose processes are watched; the whole machine unless set',
    ),
  ),
  uplink: Type.Optional(Type.String({ minLength: 1, maxLength: 15, description: 'interface to the other hosts' })),
  healthNetns: Type.String({
    pattern: '^/.',
    default: '/run/weir/health.netns',
    description: 'where the network namespace of the health endpoint is mounted; a path of its own on every host',
  }),
  bgpDaemon: Type.String({ minLength: 1, default: '/usr/sbin/bird', description: 'BIRD 2, which speaks BGP' }),
  bgpDir: Type.String({
    pattern: '^/.',
    default: '/run/weir/bgp',
    description: 'configuration, socket and log of the BGP daemon; a path of its own on every host',
  }),
  socket: Type.Optional(path('unix socket of the local API; none unless set')),
  tetragonSocket: Type.Optional(
    path('unix socket at which events of processes are told as Tetragon does, to the client tetra; none unless set'),
  ),
  metricsPort: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 65_535, description: 'TCP port of /metrics on loopback; 0 for any free one' }),
  ),
  maxConntrack: Type.Integer({
    minimum: 1024,
    maximum: 16_777_216,
    default: 524_288,
    description: 'connections tracked; about 250 bytes of kernel memory each. Changing it begins with none',
  }),
  maxCidrs: Type.Integer({
    minimum: 16,
    maximum: 1_048_576,
    default: 65_536,
    description:
      'CIDR prefixes that the policies of this host may name; a workload whose policy needs more is locked down',
  }),
  maxIpcache: Type.Integer({
    minimum: 16,
    maximum: 16_777_216,
    default: 524_288,
    description:
      'addresses of workloads and hosts of the fleet that this host can know; beyond it, what its policies could mistake is locked down',
  }),
  natPorts: Type.String({
    pattern: '^[0-9]{1,5}-[0-9]{1,5}$',
    default: '49152-65535',
    description: 'ports of masqueraded connections, low-high; the kernel is told to choose none of them for the host',
  }),
  maxNat: Type.Integer({
    minimum: 1024,
    maximum: 16_777_216,
    default: 131_072,
    description: 'connections masqueraded; about 250 bytes of kernel memory each. Changing it begins with none',
  }),
  maxServices: Type.Integer({
    minimum: 64,
    maximum: 1_048_576,
    default: 262_144,
    description:
      'addresses and ports of services that this host can serve, with twice as many backends and eight times as many places of backends in them; a service beyond it is not served. Changing it begins with none',
  }),
  maxServiceSockets: Type.Integer({
    minimum: 1024,
    maximum: 16_777_216,
    default: 262_144,
    description:
      'sockets of which is known which service they asked for; beyond it those used least recently are forgotten',
  }),
  maxServiceClients: Type.Integer({
    minimum: 1024,
    maximum: 16_777_216,
    default: 65_536,
    description: 'clients that stay with a backend, by service; beyond it those used least recently get another',
  }),
  ringBytes: Type.Integer({
    minimum: 4096,
    maximum: 268_435_456,
    default: 8 * MIB,
    description: 'ring buffer of events, bytes: a power of two, at least a page',
  }),
  eventsPerSecond: Type.Integer({
    minimum: 0,
    maximum: 1_000_000,
    default: 10_000,
    description:
      "flow events that one workload may report, with a second's worth at once; more are counted by workload and reason. 0: no limit",
  }),
  processes: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description: '"on": processes of this host are watched and reported: who begins what, whose child, how it ends',
  }),
  processArgsBytes: Type.Integer({
    minimum: 0,
    maximum: 4 * MIB,
    default: 16_384,
    description:
      "how much of a process's arguments is read, bytes; what is cut is flagged. Events have the first 131072 at most",
  }),
  processEnvBytes: Type.Integer({
    minimum: 0,
    maximum: 4 * MIB,
    default: 0,
    description: "how much of a process's environment is read, bytes; it often has secrets in it",
  }),
  spoolMaxBytes: Type.Integer({
    minimum: 4 * MIB,
    maximum: 2 ** 40,
    default: 256 * MIB,
    description: 'disk for events that are not stored yet; beyond it the oldest are dropped and counted',
  }),
  processSpoolMaxBytes: Type.Integer({
    minimum: 4 * MIB,
    maximum: 2 ** 40,
    default: 256 * MIB,
    description: 'the same for events of processes',
  }),
  hostAccess: Type.Union([Type.Literal('always'), Type.Literal('policy')], {
    default: 'always',
    description: '"always": the host may reach its own workloads whatever policy says; "policy": it needs a rule',
  }),
  hostConfirm: Type.Union([Type.Literal('bus'), Type.Literal('operator')], {
    default: 'bus',
    description:
      '"bus": a change of the host\'s own policy is confirmed when the agent reaches the bus after it; "operator": when somebody on the host says so (POST /host-firewall/confirm)',
  }),
  hostConfirmS: Type.Integer({
    minimum: 5,
    maximum: 3_600,
    default: 60,
    description: "a change of the host's own policy that is not confirmed for so long is undone, seconds",
  }),
  hostFailsafeInbound: Type.String({
    default: 'tcp:22,udp:68,udp:546,tcp:179',
    description:
      'ports of the host that no policy can close: protocol:port, or protocol:port@CIDR, separated by commas; none',
  }),
  hostFailsafeOutbound: Type.String({
    default: 'udp:53,tcp:53,udp:67,udp:547,tcp:179',
    description: 'the same of what the host itself asks of others',
  }),
  resyncS: Type.Integer({
    minimum: 1,
    maximum: 86_400,
    default: 60,
    description: 'how often everything in the kernel is compared with what should be there, seconds',
  }),
  failpoint: Type.Optional(
    Type.String({
      pattern: `^(${FAILPOINTS.map((name) => name.replaceAll('.', '\\.')).join('|')})(:[1-9][0-9]*)?$`,
      description: 'for tests: name[:n], the agent kills itself at the n-th passage',
    }),
  ),
});

/** Throws INVALID_ARGUMENT that names the setting. */
export const natPortsOf = ({ natPorts }: Pick<AgentConfig, 'natPorts'>): { low: number; high: number } => {
  const [low = 0, high = 0] = natPorts.split('-').map(Number);
  if (low >= 1024 && low <= high && high <= 65_535) return { low, high };
  throw weirError('INVALID_ARGUMENT', `the setting WEIR_AGENT_NAT_PORTS is not valid: ${natPorts}`, {
    field: 'WEIR_AGENT_NAT_PORTS',
    value: natPorts,
    fix: 'give a range from 1024 to 65535 such as 49152-65535',
  });
};

/** Throws INVALID_ARGUMENT that names the setting. */
export const failsafePortsOf = ({
  hostFailsafeInbound,
  hostFailsafeOutbound,
}: Pick<AgentConfig, 'hostFailsafeInbound' | 'hostFailsafeOutbound'>) => {
  const read = (field: string, value: string) => {
    try {
      return parseFailsafe(value);
    } catch (cause) {
      const message = `the setting ${field} is not valid: ${(cause as Error).message}`;
      throw weirError('INVALID_ARGUMENT', message, { field, value, fix: FAILSAFE_FIX });
    }
  };
  return {
    inbound: read('WEIR_AGENT_HOST_FAILSAFE_INBOUND', hostFailsafeInbound),
    outbound: read('WEIR_AGENT_HOST_FAILSAFE_OUTBOUND', hostFailsafeOutbound),
  };
};

export type AgentConfig = Static<typeof AgentSettings>;

/** Throws INVALID_ARGUMENT that names the variable, its value and the fix. */
export const loadAgentConfig = (env: Readonly<Record<string, string | undefined>> = process.env): AgentConfig => {
  const config = loadConfig(AgentSettings, env, 'AGENT');
  const { ringBytes } = config;
  natPortsOf(config);
  failsafePortsOf(config);
  if ((ringBytes & (ringBytes - 1)) !== 0) {
    const below = 2 ** Math.floor(Math.log2(ringBytes));
    throw weirError(
      'INVALID_ARGUMENT',
      `the setting WEIR_AGENT_RING_BYTES is not valid: ${ringBytes} is no power of two`,
      {
        field: 'WEIR_AGENT_RING_BYTES',
        value: String(ringBytes),
        fix: `give ${below} or ${below * 2}`,
      },
    );
  }
  return config;
};

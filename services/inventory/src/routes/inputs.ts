// SPDX-License-Identifier: Apache-2.0
/** What can be asked for, as schemas: REST bodies are checked against them, and gRPC requests made into the same shape. */
import { named } from '@weir/http';
import { type Static, Type } from 'typebox';
import { LabelsSchema, PortSchema } from './views.ts';

/** More than any workload names; a bound on one document. */
const PORTS_MAX = 256;
/** Longer texts are refused before anything looks at them; the rules of names say what is right. */
const TEXT_MAX = 4_096;

const closed = { additionalProperties: false };
const text = (description: string) => Type.String({ maxLength: TEXT_MAX, description });
const underlay = (family: 4 | 6) =>
  Type.Union([text(`IPv${family} address on the network between the hosts`), Type.Null()], {
    description: `IPv${family} address on the network between the hosts; null for none`,
  });

const hostSettings = {
  labels: Type.Optional(LabelsSchema),
  underlay_ip4: Type.Optional(underlay(4)),
  underlay_ip6: Type.Optional(underlay(6)),
};

export const HostCreateSchema = named(
  'HostCreate',
  Type.Object({ name: text('DNS label; becomes the id'), ...hostSettings }, closed),
);
export type HostCreate = Static<typeof HostCreateSchema>;

export const HostPatchSchema = named('HostPatch', Type.Object(hostSettings, closed));
export type HostPatch = Static<typeof HostPatchSchema>;

export const NamespacePutSchema = named('NamespacePut', Type.Object({ labels: LabelsSchema }, closed));

const bandwidth = (what: string) =>
  Type.Optional(
    Type.Union([text(`Bits per second that it may ${what}: 10M, 1.5G, 512Ki`), Type.Null()], {
      description: `Bits per second that it may ${what}, as a quantity of Kubernetes: 10M, 1.5G, 512Ki; null: no limit`,
    }),
  );

const workloadSettings = {
  source_check: Type.Optional(
    Type.Boolean({
      description:
        'What it sends from an address or MAC that is not its own is dropped (132). false: a router or a holder of virtual IPs may; default true',
    }),
  ),
  egress_bandwidth: bandwidth('send'),
  ingress_bandwidth: bandwidth('receive'),
  annotations: Type.Optional(
    Type.Record(Type.String(), Type.String({ maxLength: TEXT_MAX }), {
      maxProperties: 16,
      description:
        'kubernetes.io/egress-bandwidth, kubernetes.io/ingress-bandwidth, ipam.cilium.io/ip-pool: other names of fields',
    }),
  ),
  labels: Type.Optional(LabelsSchema),
  ports: Type.Optional(Type.Array(PortSchema, { maxItems: PORTS_MAX, description: 'Ports that policies may name' })),
};

export const WorkloadCreateSchema = named(
  'WorkloadCreate',
  Type.Object(
    {
      name: text('DNS label'),
      namespace: Type.Optional(
        Type.String({ maxLength: TEXT_MAX, default: 'default', description: 'Made when it does not exist' }),
      ),
      host: text('id of its host'),
      netns: Type.Optional(text('Path of its network namespace on the host')),
      cgroup: Type.Optional(text('Path of its cgroup below the cgroup2 mount of the host')),
      host_network: Type.Optional(
        Type.Boolean({
          description:
            "The workload is that cgroup: a systemd unit (system.slice/x.service) or any processes with the host's own addresses",
        }),
      ),
      pool: Type.Optional(text('Of which it gets addresses; else that of its namespace, else default')),
      ip4: Type.Optional(text("Of a pool, if its block is this host's or free, or one of your own outside all pools")),
      ip6: Type.Optional(text("Of a pool, if its block is this host's or free, or one of your own outside all pools")),
      ...workloadSettings,
    },
    closed,
  ),
);
export type WorkloadCreate = Static<typeof WorkloadCreateSchema>;

export const WorkloadPatchSchema = named('WorkloadPatch', Type.Object(workloadSettings, closed));
export type WorkloadPatch = Static<typeof WorkloadPatchSchema>;

export const WorkloadProbeSchema = named(
  'WorkloadProbe',
  Type.Object(
    {
      address: text('IPv4 or IPv6'),
      protocol: Type.Optional(
        Type.Union([Type.Literal('TCP'), Type.Literal('UDP'), Type.Literal('ICMP'), Type.Literal('ICMPv6')], {
          description:
            'TCP, if not given: a connection that is closed again; UDP: a datagram without content; ICMP: an echo',
        }),
      ),
      port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, description: 'Of TCP and UDP' })),
      timeout_ms: Type.Optional(
        Type.Integer({ minimum: 100, maximum: 10_000, description: 'How long an answer is waited for; 3000' }),
      ),
    },
    closed,
  ),
);

export const INPUT_SCHEMAS = [
  HostCreateSchema,
  HostPatchSchema,
  NamespacePutSchema,
  WorkloadCreateSchema,
  WorkloadPatchSchema,
  WorkloadProbeSchema,
];

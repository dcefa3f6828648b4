// SPDX-License-Identifier: Apache-2.0
/**
 * Services as people set them: frontends, the addresses under which they are reached, and backends, given or selected by
 * labels. Every field has a default. What contradicts itself is refused in service-checks.ts.
 */
import { named } from '@weir/http';
import { type Static, Type } from 'typebox';
import { LabelSelectorSchema } from './selectors.ts';

const closed = { additionalProperties: false };
const PORT_MAX = 65_535;
export const WEIGHT_MAX = 65_535;
export const WEIGHT_DEFAULT = 100;
/** Of conntrack, in seconds: the datapath has 24 bits for it. */
const AFFINITY_MAX_S = 0xff_ffff;
/** Primes, so that every step through a table visits each slot. */
export const MAGLEV_SIZES = [251, 509, 1_021, 2_039, 4_093, 8_191, 16_381, 32_749, 65_521, 131_071];
/** 327 slots for each backend move less than 1 % of the connections when one of 100 leaves; see services/lib/maglev. */
const MAGLEV_SLOTS_EACH = 327;
const MAGLEV_DEFAULTS = [32_749, 65_521, 131_071] as const;
export const maglevDefault = (backends: number): number =>
  MAGLEV_DEFAULTS.find((size) => size >= MAGLEV_SLOTS_EACH * backends) ?? MAGLEV_DEFAULTS[2];
/** A bound on one document. */
const FRONTENDS_MAX = 1_024;
const BACKENDS_MAX = 4_096;
const DAY_MS = 86_400_000;

const word = <const T extends string>(
  words: readonly T[],
  description: string,
  fallback: T | null = words[0] ?? null,
) =>
  Type.Unsafe<T>(
    Type.Union(
      words.map((one) => Type.Literal(one)),
      { ...(fallback === null ? {} : { default: fallback }), description },
    ),
  );
const text = (description: string, maxLength = 320) => Type.String({ maxLength, default: '', description });
const port = (description: string, minimum = 1) => Type.Integer({ minimum, maximum: PORT_MAX, description });
const defaulted = (maximum: number, fallback: number, description: string, minimum = 0) =>
  Type.Integer({ minimum, maximum, default: fallback, description });

export const FRONTEND_TYPES = [
  'none',
  'cluster-ip',
  'node-port',
  'external-ip',
  'load-balancer',
  'host-port',
  'local-redirect',
] as const;
export const SERVICE_PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
export const BACKEND_STATES = [
  'active',
  'terminating',
  'terminating-not-serving',
  'quarantined',
  'maintenance',
] as const;
export type BackendState = (typeof BACKEND_STATES)[number];
const PORT_NAME = 'Its backends are those with the same port_name and protocol, of the family of the address';
const protocol = Type.Optional(word(SERVICE_PROTOCOLS, 'TCP, UDP or SCTP'));
const DNS_LABEL_OR_NOTHING = '^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$';
const portName = (description: string) =>
  Type.Optional(Type.String({ pattern: DNS_LABEL_OR_NOTHING, default: '', description }));

const FrontendPut = Type.Object(
  {
    type: Type.Optional(word(FRONTEND_TYPES, 'What kind of address it is')),
    address: Type.Optional(text('Empty: a free one of a pool (load-balancer, cluster-ip); node ports have none', 64)),
    service: Type.Optional(
      Type.String({
        ...{ pattern: DNS_LABEL_OR_NOTHING, default: '' },
        description:
          'local-redirect, in place of the address: at all addresses that this service of the same namespace has for the port; port 0: for all ports of the port_name, or all',
      }),
    ),
    port: Type.Optional(
      port(
        '0: a free one of the range, for node-port, or all of a service that is redirected; otherwise 1 to 65535',
        0,
      ),
    ),
    protocol,
    scope: Type.Optional(
      Type.Unsafe<'' | 'external' | 'internal'>(
        Type.Union([Type.Literal(''), Type.Literal('external'), Type.Literal('internal')], {
          default: '',
          description: 'external: for clients from outside the fleet; internal: for workloads and hosts; empty: both',
        }),
      ),
    ),
    port_name: portName(PORT_NAME),
  },
  closed,
);

export const BackendStateSchema = word(
  BACKEND_STATES,
  'active -> terminating, quarantined, maintenance; quarantined -> active, terminating; maintenance -> active; terminating is final',
  null,
);
export const WeightSchema = Type.Integer({
  minimum: 0,
  maximum: WEIGHT_MAX,
  description: '0 to 65535; 0 is maintenance. Only Maglev goes by weights',
});

const BackendPut = Type.Object(
  {
    address: Type.String({ maxLength: 64, description: 'IP address' }),
    port: port('1 to 65535'),
    protocol,
    port_name: portName('Frontends with the same one lead to it'),
    weight: Type.Optional(WeightSchema),
    state: Type.Optional(BackendStateSchema),
    zone: Type.Optional(text('Absent: that of the host that has it, if any', 63)),
  },
  closed,
);

const TargetPort = Type.Object(
  {
    port_name: portName('Of frontends'),
    port: Type.Union([port('1 to 65535'), Type.String({ pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$' })], {
      description: 'Number, or the name that the workload has for it',
    }),
    protocol,
  },
  closed,
);

const HealthCheckPut = Type.Object(
  {
    kind: word(
      ['tcp', 'http', 'https', 'udp', 'icmp', 'grpc', 'sctp'],
      'How backends are asked; sctp is refused',
      null,
    ),
    port: Type.Optional(defaulted(PORT_MAX, 0, '0: that of the backend')),
    period_ms: Type.Optional(defaulted(DAY_MS, 2_000, 'From one probe to the next', 100)),
    timeout_ms: Type.Optional(defaulted(DAY_MS, 1_000, 'At most the period', 10)),
    unhealthy_after: Type.Optional(defaulted(100, 3, 'Failures in a row that make it quarantined', 1)),
    healthy_after: Type.Optional(defaulted(100, 2, 'Answers in a row that make it active again', 1)),
    slow_start_ms: Type.Optional(defaulted(DAY_MS, 0, 'Over so long it gets up to its weight; 0: at once')),
    path: Type.Optional(text('http, https: default /', 4_096)),
    host: Type.Optional(text('http, https: of the Host header, and the name in TLS; grpc with tls: that name')),
    status_low: Type.Optional(defaulted(599, 200, 'Lowest status that is good', 100)),
    status_high: Type.Optional(defaulted(599, 399, 'Highest status that is good', 100)),
    send: Type.Optional(text('udp: what is sent', 1_024)),
    expect: Type.Optional(text('udp: what the answer begins with; http: what its body contains', 1_024)),
    grpc_service: Type.Optional(text('grpc: empty for the server as a whole')),
    tls: Type.Optional(Type.Boolean({ default: false, description: 'grpc: by TLS' })),
    insecure: Type.Optional(
      Type.Boolean({ default: false, description: 'https, and grpc with tls: certificates are not checked' }),
    ),
  },
  { ...closed, description: 'Absent: backends are not asked' },
);

const settings = {
  labels: Type.Optional(
    Type.Record(Type.String(), Type.String(), { default: {}, description: 'Kubernetes label syntax' }),
  ),
  frontends: Type.Array(FrontendPut, {
    minItems: 1,
    maxItems: FRONTENDS_MAX,
    description: 'give one frontend at least: the addresses and ports under which the service is reached',
  }),
  backends: Type.Optional(
    Type.Array(BackendPut, {
      maxItems: BACKENDS_MAX,
      default: [],
      description: 'Backends that are given, beside those that the selector finds',
    }),
  ),
  selector: Type.Optional({
    ...LabelSelectorSchema,
    description: 'Workloads of the same namespace become backends; absent: none do',
  }),
  targets: Type.Optional(
    Type.Array(TargetPort, {
      maxItems: FRONTENDS_MAX,
      default: [],
      description: 'Where selected workloads listen; none: at the ports of the frontends',
    }),
  ),
  families: Type.Optional(
    Type.Array(word(['ipv4', 'ipv6'], 'ipv4 or ipv6', null), {
      minItems: 1,
      maxItems: 2,
      uniqueItems: true,
      default: ['ipv4'],
      description: 'give ipv4, ipv6 or both: families of the addresses that are taken from pools',
    }),
  ),
  sharing_key: Type.Optional(text('Services with the same one may have one address when their ports differ', 63)),
  sharing_namespaces: Type.Optional(
    Type.Array(Type.String({ maxLength: 63 }), {
      maxItems: 64,
      default: [],
      description: 'Other namespaces whose services may share with it; * for all. The other service must allow it too',
    }),
  ),
  algorithm: Type.Optional(
    word(['random', 'maglev', 'least-connections'], 'Stays as it was when the service was created'),
  ),
  maglev_size: Type.Optional(
    Type.Integer({
      ...{ minimum: 0, default: 0 },
      description: `One of ${MAGLEV_SIZES.join(', ')}; 0: by the backends named when it is created, at least ${MAGLEV_DEFAULTS[0]}`,
    }),
  ),
  forwarding: Type.Optional(word(['snat', 'dsr', 'hybrid'], 'hybrid: DSR for TCP, SNAT for everything else')),
  dsr_dispatch: Type.Optional(word(['ip-option', 'ipip'], "How the backend's host learns what was asked for")),
  affinity_timeout_s: Type.Optional(
    defaulted(AFFINITY_MAX_S, 0, 'A client stays with its backend so long after it was last heard of; 0: it does not'),
  ),
  external_traffic_policy: Type.Optional(
    word(['cluster', 'local'], 'local: clients from outside get backends of the host that they came to'),
  ),
  internal_traffic_policy: Type.Optional(
    word(['cluster', 'local'], 'local: workloads and hosts get backends of their own host'),
  ),
  distribution: Type.Optional(
    word(['any', 'prefer-same-zone', 'prefer-same-node'], 'Which backends are preferred while there are any'),
  ),
  source_ranges: Type.Optional(
    Type.Array(Type.String({ maxLength: 64 }), {
      maxItems: 1_024,
      default: [],
      description: 'CIDRs of clients from outside; none: everybody',
    }),
  ),
  source_ranges_policy: Type.Optional(word(['allow', 'deny'], 'What the source ranges mean')),
  no_backend: Type.Optional(word(['reject', 'drop'], 'What a client gets when nobody serves')),
  hosts: Type.Optional({ ...LabelSelectorSchema, description: 'Only hosts with these labels serve it; absent: all' }),
  health_check: Type.Optional(HealthCheckPut),
  health_check_node_port: Type.Optional(
    defaulted(PORT_MAX, 0, 'Where hosts tell whether they have local backends; needs external_traffic_policy local'),
  ),
  skip_redirect_from_backends: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'What backends of its local-redirect frontends ask for themselves is not redirected',
    }),
  ),
  delegate_if_local: Type.Optional(
    Type.Boolean({ default: false, description: 'A host that has a local backend hands everything to it' }),
  ),
};

export const ServicePutSchema = named('ServicePut', Type.Object(settings, closed));
export const ServiceCreateSchema = named(
  'ServiceCreate',
  Type.Object(
    {
      name: Type.String({ maxLength: 4_096, description: 'DNS label' }),
      namespace: Type.Optional(
        Type.String({ maxLength: 4_096, default: 'default', description: 'Made when it does not exist' }),
      ),
      ...settings,
    },
    closed,
  ),
);
export const BackendPatchSchema = named(
  'BackendPatch',
  Type.Object(
    {
      state: Type.Optional(BackendStateSchema),
      weight: Type.Optional(WeightSchema),
      reason: Type.Optional(Type.String({ maxLength: 256, description: 'Told beside the state' })),
    },
    { ...closed, minProperties: 1, description: 'give state, weight, or both' },
  ),
);
export type BackendPatch = Static<typeof BackendPatchSchema>;

type Filled<T, Stay extends keyof T> = { readonly [K in Exclude<keyof T, Stay>]-?: NonNullable<T[K]> } & {
  readonly [K in Stay]?: T[K];
};
export type FrontendSpec = Filled<Static<typeof FrontendPut>, never>;
export type BackendSpec = Filled<Static<typeof BackendPut>, 'weight' | 'state'>;
export type TargetSpec = Filled<Static<typeof TargetPort>, never>;
export type HealthCheckSpec = Filled<Static<typeof HealthCheckPut>, never>;
type Settings = Filled<Static<typeof ServicePutSchema>, 'selector' | 'hosts' | 'health_check'>;
/** With every default filled in. */
export type ServiceSpec = Omit<Settings, 'frontends' | 'backends' | 'targets' | 'health_check'> & {
  readonly frontends: readonly FrontendSpec[];
  readonly backends: readonly BackendSpec[];
  readonly targets: readonly TargetSpec[];
  readonly health_check?: HealthCheckSpec;
};
/** As the schemas leave it: defaults are in. */
export type ServicePut = Static<typeof ServicePutSchema>;
export const filled = (put: ServicePut): ServiceSpec => put as ServiceSpec;

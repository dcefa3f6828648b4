// SPDX-License-Identifier: Apache-2.0
/** Schemas of the REST API: they check, type and document it. */
import { named, nullable, ref } from '@weir/http';
import { type TSchema, Type } from 'typebox';
import type { FilterName } from '../domain/filter.ts';
import {
  DIRECTIONS,
  DROP_REASONS,
  FRONTEND_TYPES,
  PENDING_VERDICTS,
  REPORTS,
  SOCK_XLATE_POINTS,
  TRACE_POINTS,
  TRACE_REASONS,
  VERDICTS,
} from '../domain/names.ts';

const VALUES_MAX = 100;
const TEXT_MAX = 1_000;

export const list = (description: string, examples: readonly string[]) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: TEXT_MAX }), {
      maxItems: VALUES_MAX,
      description,
      examples: [examples],
    }),
  );

const sided = <Name extends string>(name: Name, what: string, example: string) =>
  ({
    [name]: list(`${what} of either end`, [example]),
    [`from_${name}`]: list(`${what} of the source`, [example]),
    [`to_${name}`]: list(`${what} of the destination`, [example]),
  }) as { [Key in Name | `from_${Name}` | `to_${Name}`]: ReturnType<typeof list> };

const filters = {
  verdict: list(`One of ${VERDICTS.names.join(', ')}`, ['DROPPED']),
  direction: list(`Of the connection, seen from the workload: ${DIRECTIONS.names.join(', ')}`, ['EGRESS']),
  protocol: list('Name or IANA number', ['TCP', 'UDP']),
  drop_reason: list(`Code, name or text: ${DROP_REASONS.names.join(', ')}`, ['POLICY_DENIED']),
  rule_id: list('Number of the rule that decided', ['17']),
  pending: list(`What would be if staged policies were in place: ${PENDING_VERDICTS.names.join(', ')}`, ['DROPPED']),
  pending_rule_id: list('Number of the rule that would decide then', ['17']),
  host: list('Host where the flow was seen', ['h1']),
  exec_id: list('Process whose the socket is: exec id, as processes have it', ['aDE6MTIzNDU6Njc=']),
  process: list('The same by its binary: whole path, /opt/* for what begins so, or its last name', ['/usr/bin/curl']),
  unit: list("The same by its container's id (12 digits do), or the name of its machine or systemd unit", [
    'db.service',
  ]),
  uid: list('The same by the number of its effective user', ['1000']),
  is_reply: list('true: from the server to the client of the connection', ['false']),
  source_xlated: list('Address or CIDR that the source becomes where packets leave the host', ['192.0.2.0/24']),
  ...sided('ip', 'Address or CIDR', '10.0.0.0/8'),
  ...sided('port', 'Port', '443'),
  ...sided('identity', 'Identity: number or reserved name', '256'),
  ...sided('label', 'Label selector', 'app=web,tier!=db'),
  ...sided('workload', 'Workload: name or namespace/name', 'prod/web'),
  ...sided('namespace', 'Namespace', 'prod'),
  ...sided(
    'service',
    'Service that was asked for: name or namespace/name, with * at its end what begins so;',
    'prod/api',
  ),
} satisfies Record<FilterName, TSchema>;

const time = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 40, description, examples: ['5m', '2026-08-01T12:00:00Z'] }));

export const last = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 12,
    description: 'A number of them, or how far back',
    examples: ['20', '5m'],
  }),
);

export const range = {
  since: time('Beginning: RFC 3339, or how long ago (inclusive)'),
  until: time('End: RFC 3339, or how long ago (exclusive)'),
};

/** Spread into a query; values of a repeated parameter are alternatives, parameters must all hold. */
export const flowFilter = { ...range, last, ...filters };

export const EndpointSchema = named(
  'Endpoint',
  Type.Object({
    ip: Type.String(),
    port: Type.Integer(),
    identity: Type.Integer(),
    labels: Type.Array(Type.String()),
    workload: nullable(Type.String()),
    namespace: nullable(Type.String()),
  }),
);

const nameOf = (known: readonly string[], description?: string) =>
  Type.String({ examples: [...known], ...(description === undefined ? {} : { description }) });

export const ServiceNameSchema = named(
  'ServiceName',
  Type.Object(
    { namespace: Type.String(), name: Type.String() },
    { description: 'The service by which this end serves; null: the client asked for it itself' },
  ),
);

export const FlowRuleSchema = named(
  'FlowRule',
  Type.Object({
    id: Type.Integer(),
    policy: nullable(Type.String({ description: 'kind/namespace/name; null: not known here' })),
    path: nullable(Type.String({ examples: ['spec.ingress[0]'] })),
  }),
);

export const FlowSchema = named(
  'Flow',
  Type.Object(
    {
      time: Type.String({ format: 'date-time', description: 'Of the last packet counted, by the clock of its host' }),
      host: Type.String(),
      boot: Type.Integer({ description: 'Start of the agent, unix milliseconds; host, boot and seq are the id' }),
      seq: Type.Integer(),
      source: ref(EndpointSchema),
      destination: ref(EndpointSchema),
      protocol: Type.String({ examples: ['TCP', 'UDP', 'ICMP', 'ICMPv6', 'SCTP'] }),
      tcp_flags: Type.Array(Type.String()),
      icmp: nullable(Type.Object({ type: Type.Integer(), code: Type.Integer() })),
      verdict: nameOf(VERDICTS.names),
      drop_reason: nullable(Type.Object({ code: Type.Integer(), name: Type.String(), text: Type.String() })),
      rule: nullable(ref(FlowRuleSchema)),
      policy_log: nullable(Type.String({ description: 'log.value of the policy whose rule decided' })),
      pending: nullable(
        Type.Object(
          { verdict: nameOf(PENDING_VERDICTS.names), rule: nullable(ref(FlowRuleSchema)) },
          { description: 'What would be if staged policies were in place; null: none are staged for the workload' },
        ),
      ),
      direction: nameOf(DIRECTIONS.names, 'Of the connection, seen from the workload'),
      is_reply: Type.Boolean(),
      trace_point: nameOf(TRACE_POINTS.names),
      trace_reason: nameOf(TRACE_REASONS.names),
      report: nameOf(REPORTS.names, 'Why it was reported'),
      packets: Type.Integer({ description: 'Since the last report of this direction' }),
      bytes: Type.Integer({ description: 'L3 bytes since the last report of this direction' }),
      connection_id: nullable(Type.String({ description: 'The same for both directions, as seen at one workload' })),
      encrypted: Type.Boolean({ description: 'Between the hosts: its last packet went on, or came, encrypted' }),
      source_service: nullable(ref(ServiceNameSchema)),
      destination_service: nullable(ref(ServiceNameSchema)),
      frontend: nullable(
        Type.Object(
          {
            number: Type.Integer(),
            type: nameOf(FRONTEND_TYPES.names),
            address: nullable(Type.String({ description: 'null: of a node port, which is at every host' })),
            port: nullable(Type.Integer()),
            backend: nullable(
              Type.Object({ ip: Type.String(), port: Type.Integer() }, { description: 'null: there was none' }),
            ),
          },
          { description: 'Of a service: what the client asked for, and where it was sent' },
        ),
      ),
      source_xlated: nullable(
        Type.String({
          description:
            'What the source becomes where packets leave the host; null: it stays, or is not known yet, as of the first packets',
        }),
      ),
      sock_xlate_point: nullable(
        nameOf(
          SOCK_XLATE_POINTS.names,
          'Of a socket that asked for a service: whether the addresses are those before it was sent to a backend, or after',
        ),
      ),
      process: nullable(
        Type.Object(
          {
            exec_id: Type.String({ description: 'Its name in the fleet' }),
            pid: Type.Integer(),
            uid: Type.Integer({ description: 'Effective user, when it last used the socket' }),
            binary: nullable(Type.String({ description: 'Path of its image, at most 255 bytes of it' })),
            unit: nullable(Type.String({ description: "Container's id, or name of the machine, unit or session" })),
            unit_kind: nullable(Type.String({ examples: ['container', 'machine', 'service', 'session'] })),
          },
          { description: 'Whose the socket is at the workload where the flow was seen; null: not known' },
        ),
      ),
    },
    { description: 'One direction of a connection since its last report, seen at one workload' },
  ),
);

export const ServiceMapSchema = named(
  'ServiceMap',
  Type.Object({
    since: Type.String({ format: 'date-time' }),
    until: Type.String({ format: 'date-time' }),
    truncated: Type.Boolean({ description: 'There are more edges; the busiest are shown' }),
    nodes: Type.Array(
      Type.Object({
        identity: Type.Integer(),
        labels: Type.Array(Type.String()),
        namespace: nullable(Type.String()),
        workloads: Type.Array(Type.String(), { description: 'namespace/name of workloads with this identity' }),
      }),
    ),
    edges: Type.Array(
      Type.Object({
        source: Type.Integer({ description: 'Identity of the client' }),
        destination: Type.Integer({ description: 'Identity of the server' }),
        protocol: Type.String(),
        port: Type.Integer({ description: 'Of the server; 0 without ports' }),
        verdict: nameOf(VERDICTS.names),
        connections: Type.Integer(),
        packets: Type.Integer({ description: 'From client to server' }),
        bytes: Type.Integer(),
        reply_packets: Type.Integer(),
        reply_bytes: Type.Integer(),
        last_seen: Type.String({ format: 'date-time' }),
      }),
    ),
  }),
);

const count = (description: string) => Type.Integer({ minimum: 0, description });

export const WatermarkSchema = named(
  'Watermark',
  Type.Object(
    {
      host: Type.String(),
      boot: Type.Integer({ description: 'Start of the agent, unix milliseconds' }),
      committed_seq: nullable(count('Everything up to here is stored or known to be lost')),
      committed_at: nullable(Type.String({ format: 'date-time' })),
      stored: count('Flows stored'),
      produced: count('Events that the host wanted to report'),
      lost_ring: count('Lost because the ring buffer was full'),
      lost_spool: count('Lost because the spool of the agent was full'),
      lost_throttle: count('Held back because a workload reported more than its rate limit allows'),
      published: count('Acknowledged by the bus'),
      next_seq: count('Next number that the agent will give'),
      reported_at: nullable(
        Type.String({ format: 'date-time', description: 'Heartbeat from which the counts of the agent are' }),
      ),
      gaps: Type.Array(Type.Object({ first: Type.Integer(), last: Type.Integer() }), {
        description: 'Numbers missing below what is stored: on their way',
      }),
      losses: Type.Array(
        Type.Object({
          first: Type.Integer(),
          last: Type.Integer(),
          lost: count('How many of these numbers are missing; the others are stored'),
          refused: count('How many of the missing had been refused; they are shed last'),
          from: nullable(Type.String({ format: 'date-time', description: 'Time of the oldest that is missing' })),
          to: nullable(Type.String({ format: 'date-time', description: 'Time of the newest that is missing' })),
        }),
        { description: 'Where the spool of the agent was full, newest first' },
      ),
    },
    { description: 'produced = stored + lost_ring + lost_spool + lost_throttle + what is on its way' },
  ),
);

export const AccountSchema = named(
  'Account',
  Type.Object(
    {
      host: Type.String(),
      kind: Type.Enum(['flow', 'process']),
      runs: count('Runs of the agent that are known'),
      produced: count('Flows that the datapath wanted to report'),
      stored: count('Events stored'),
      lost: Type.Object({
        throttle: count('Over the rate limit of a workload'),
        ring: count('No room in the ring buffer'),
        spool: count('No room in the spool, or gone with it'),
        dead_letter: count('In messages that could never be stored and were set aside'),
      }),
      on_its_way: count('In a spool or on the bus'),
      watermark: Type.Object(
        {
          boot: Type.Integer({ description: 'Start of the agent, unix milliseconds' }),
          seq: nullable(count('Everything of this run up to here is stored or accounted for as lost')),
          at: nullable(Type.String({ format: 'date-time', description: 'When events were last stored' })),
          age_s: nullable(count('For how long events have been waiting; 0: nothing waits')),
        },
        { description: 'Of the newest run' },
      ),
      reported_at: nullable(Type.String({ format: 'date-time', description: 'Last heartbeat' })),
      gaps: Type.Array(Type.Object({ boot: Type.Integer(), first: Type.Integer(), last: Type.Integer() }), {
        description: 'Numbers missing below what is stored; the last 100 intervals',
      }),
    },
    { description: 'produced = stored + the sum of lost + on_its_way' },
  ),
);

export const SCHEMAS = [
  EndpointSchema,
  ServiceNameSchema,
  FlowRuleSchema,
  FlowSchema,
  ServiceMapSchema,
  WatermarkSchema,
  AccountSchema,
] as const;

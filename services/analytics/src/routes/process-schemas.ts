// SPDX-License-Identifier: Apache-2.0
/** Schemas of the REST API of processes: they check, type and document it. */
import { named, nullable, ref } from '@weir/http';
import { Type } from 'typebox';
import { PROCESS_KINDS, PROCESS_VERDICTS, type ProcessParam } from '../domain/process-filter.ts';
import { last, list, range } from './schemas.ts';

const filters = {
  kind: list(`One of ${PROCESS_KINDS.join(', ')}`, ['EXEC']),
  host: list('Host where it was seen', ['h1']),
  binary: list('Path, or a name without one; * stands for anything', ['cat', '/usr/bin/*']),
  arguments: list('What is in them somewhere; * stands for anything', ['/etc/shadow']),
  pid: list("In the host's first pid namespace", ['4711']),
  exec_id: list('exec_id of an event', ['aDE6MTA6MQ==']),
  parent_exec_id: list('The same, of its parent', ['aDE6MTA6MQ==']),
  workload: list('name or namespace/name', ['prod/web']),
  namespace: list('Namespace of its workload', ['prod']),
  unit: list('Name of a unit or virtual machine, id of a container; * stands for anything', ['nginx.service']),
  uid: list('Effective user', ['0']),
  policy: list('Runtime policy', ['no-shells']),
  verdict: list(`One of ${PROCESS_VERDICTS.join(', ')}`, ['DROPPED']),
} satisfies Record<ProcessParam, unknown>;

export const processFilter = { ...range, last, ...filters };

const text = (description: string) => Type.String({ description });
const whole = (description: string) => Type.Integer({ description });

const shown = {
  time: Type.String({ format: 'date-time', description: 'By the clock of its host' }),
  host: Type.String(),
  boot: whole('Start of the agent, unix milliseconds; host, boot and seq are the id'),
  seq: Type.Integer(),
  kind: Type.String({ examples: [...PROCESS_KINDS] }),
  exec_id: text('Of this image of this process; unique in the fleet'),
  parent_exec_id: nullable(text('null: not known')),
  pid: Type.Integer(),
  own_pid: whole('In its own pid namespace'),
  parent_pid: Type.Integer(),
  uid: nullable(whole('Effective')),
  binary: Type.String(),
  arguments: text('Behind the first; one that has spaces in it is in quotation marks'),
  raw_arguments: nullable(text('base64, with a zero behind each, when they are no UTF-8')),
  cwd: Type.String(),
  flags: Type.String({ examples: ['execve clone'] }),
  workload: nullable(Type.Object({ namespace: Type.String(), name: Type.String() })),
  unit: nullable(Type.Object({ kind: text('container, service, machine, session'), name: Type.String() })),
  cgroup: nullable(Type.String()),
  exit: nullable(Type.Object({ status: Type.Integer(), signal: nullable(Type.String({ examples: ['SIGKILL'] })) })),
  policy: nullable(text('The runtime policy that told')),
  verdict: nullable(Type.String({ examples: [...PROCESS_VERDICTS] })),
  event: nullable(Type.Any({ description: 'All of it: a GetEventsResponse as clients of Tetragon know it' })),
};

export const ProcessEventSchema = named('ProcessEvent', Type.Object(shown));

export const TreeProcessSchema = named(
  'TreeProcess',
  Type.Object(
    {
      ...shown,
      end: nullable(
        Type.Object({
          time: Type.String({ format: 'date-time' }),
          status: Type.Integer(),
          signal: nullable(Type.String()),
        }),
      ),
    },
    { description: 'How it began; end: null when that has not been told' },
  ),
);

export const ProcessTreeSchema = named(
  'ProcessTree',
  Type.Object({
    process: ref(TreeProcessSchema),
    ancestors: Type.Array(ref(TreeProcessSchema), { description: 'From the parent up' }),
    siblings: Type.Array(ref(TreeProcessSchema), { description: 'Of the same parent' }),
    children: Type.Array(ref(TreeProcessSchema)),
  }),
);

export const PROCESS_SCHEMAS = [ProcessEventSchema, TreeProcessSchema, ProcessTreeSchema] as const;

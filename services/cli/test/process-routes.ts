// SPDX-License-Identifier: Apache-2.0
/** Answers of analytics about processes, for golden files. */
import type { Routes } from './harness.ts';

const execId = (ns: number, pid: number): string => Buffer.from(`h1:${ns}:${pid}`).toString('base64');

const event = (kind: string, pid: number, binary: string, more: object = {}) => ({
  ...{ time: `2026-08-01T20:00:0${pid % 10}.000000Z`, host: 'h1', boot: 1, seq: pid, kind },
  ...{ exec_id: execId(pid, pid), parent_exec_id: null, pid, own_pid: pid, parent_pid: 1, uid: 0, binary },
  ...{ arguments: '', raw_arguments: null, cwd: '/', flags: 'execve', workload: null, unit: null, cgroup: null },
  ...{ exit: null, policy: null, verdict: null, event: null, ...more },
});

const WEB = { workload: { namespace: 'shop', name: 'web' }, unit: { kind: 'container', name: 'c'.repeat(64) } };
const EVENTS = [
  event('SEEN', 1, '/sbin/init'),
  event('FORK', 12, '/bin/sh', WEB),
  event('EXEC', 13, '/usr/bin/cat', { ...WEB, arguments: '/etc/shadow "a b"' }),
  event('EXEC', 14, '/tmp/\u001b[2J\u202eevil', {
    unit: { kind: 'service', name: 'nginx.service' },
    arguments: '\ufffd',
  }),
  event('HOOK', 15, '/bin/sh', {
    policy: 'no-shells',
    verdict: 'DROPPED',
    unit: { kind: 'container', name: 'd'.repeat(64) },
  }),
  event('EXIT', 13, '/usr/bin/cat', { ...WEB, exit: { status: 0, signal: 'SIGKILL' } }),
];
const END = { time: '2026-08-01T20:00:09.000000Z', status: 3, signal: null };

export const PROCESS_ROUTES: Routes = {
  'GET /v1/processes/events': { json: { items: [...EVENTS].reverse(), next_cursor: null } },
  'GET /v1/processes/tree': {
    json: {
      process: { ...event('EXEC', 13, '/bin/sh', { ...WEB, arguments: '-c x' }), end: null },
      ancestors: [
        { ...event('EXEC', 7, '/usr/bin/entry', WEB), end: null },
        { ...event('SEEN', 1, '/sbin/init'), end: null },
      ],
      siblings: [{ ...event('EXEC', 12, '/bin/\u001b[2Jtrue'), end: END }],
      children: [
        { ...event('EXEC', 15, '/usr/bin/cat', { arguments: '/etc/shadow' }), end: { ...END, signal: 'SIGTERM' } },
      ],
    },
  },
};

// SPDX-License-Identifier: Apache-2.0
/** What is run on another kernel: existing tests, put together so that each guest starts one program. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { startForOthers } from '@weir/infra/distant';
import { bundle } from './bundle.ts';
import { GUEST_HOSTS } from './fleet/hosts.ts';
import { type GuestOptions, type GuestResult, inGuest, MACHINE } from './guest.ts';
import { CACHE, type GuestKernel } from './kernels.ts';
import { sweepDead } from './remains.ts';

export interface GuestSuite {
  readonly name: string;
  readonly what: string;
  /** Test files, relative to the repository. */
  readonly files: readonly string[];
  /** Is part of `npm test` and of a plain `npm run test:vm`; the others are named, or run with `--all`. */
  readonly everyTime: boolean;
  readonly timeoutMs: number;
  /** Needs a control plane on the machine. */
  readonly fleet?: boolean;
}

const MINUTE_MS = 60_000;
const loaderTests = ['attach', 'lifetime', 'map', 'object', 'probe', 'program', 'ringbuf', 'tracing', 'verifier-log'];

export const SUITES: readonly GuestSuite[] = [
  {
    name: 'packets',
    what: 'every object by the verifier; the tables of packets, cuts, timers and exact counts, every drop reason',
    files: ['objects', 'packets', 'cut', 'sweep', 'throttle'].map((name) => `bpf/tests/${name}.test.ts`),
    everyTime: true,
    timeoutMs: 8 * MINUTE_MS,
  },
  {
    name: 'fleet',
    what: 'agents in the guest: the matrix, SCTP by the kernel, an agent killed under connections',
    files: ['e2e/vm/fleet/fleet.guest.ts'],
    everyTime: true,
    timeoutMs: 15 * MINUTE_MS,
    fleet: true,
  },
  {
    name: 'network',
    what: 'agents in the guest: VXLAN, WireGuard, masquerading, a workload that goes while its agent is dead',
    files: ['e2e/vm/fleet/network.guest.ts'],
    everyTime: false,
    timeoutMs: 15 * MINUTE_MS,
    fleet: true,
  },
  {
    name: 'boot',
    what: 'F06: hosts of the guest have booted, agents come late, peers and a workload try all the time',
    files: ['e2e/vm/fleet/boot.guest.ts'],
    everyTime: false,
    timeoutMs: 20 * MINUTE_MS,
    fleet: true,
  },
  {
    name: 'services',
    what: 'services by sockets, at uplinks, by packets of workloads, in XDP, and what documents make of the maps',
    files: [
      ...['objects', 'sockets', 'client', 'frontend', 'accelerate', 'announce'].map(
        (name) => `bpf/tests/${name}.test.ts`,
      ),
      'services/agent/test/kernel/services.test.ts',
    ],
    everyTime: false,
    timeoutMs: 8 * MINUTE_MS,
  },
  {
    name: 'traffic',
    what: 'sockets in namespaces against the programs, and random frames against a second parser',
    files: ['traffic', 'fuzz'].map((name) => `bpf/tests/${name}.test.ts`),
    everyTime: false,
    timeoutMs: 8 * MINUTE_MS,
  },
  {
    name: 'agent',
    what: "an agent's uplinks and tunnels: masquerading, prefilter, VXLAN, pacing, what a dead agent's successor takes away",
    files: ['uplinks', 'overlay', 'pacing'].map((name) => `services/agent/test/kernel/${name}.test.ts`),
    everyTime: false,
    timeoutMs: 8 * MINUTE_MS,
  },
  {
    name: 'cgroups',
    what: 'workloads that are cgroups: units of one host, containers of it and of others, restarts; whose a flow is',
    files: [
      'bpf/tests/objects.test.ts',
      ...['cgroups', 'owners'].map((name) => `services/agent/test/kernel/${name}.test.ts`),
    ],
    everyTime: false,
    timeoutMs: 8 * MINUTE_MS,
  },
  {
    name: 'runtime',
    what: 'processes and runtime policies: what filters see of real calls, who is killed, agents that come and go',
    files: [
      ...['objects', 'process'].map((name) => `bpf/tests/${name}.test.ts`),
      ...['processes', 'runtime', 'runtime-enforce'].map((name) => `services/agent/test/kernel/${name}.test.ts`),
    ],
    everyTime: false,
    timeoutMs: 8 * MINUTE_MS,
  },
  {
    name: 'encryption',
    what: 'WireGuard between three hosts: what a witness sees in each way of routing, strict mode, keys, joining and leaving',
    files: ['wireguard', 'wireguard-ways'].map((name) => `services/agent/test/kernel/${name}.guest.ts`),
    everyTime: false,
    timeoutMs: 20 * MINUTE_MS,
  },
  {
    name: 'rates',
    what: "transfers and requests through WireGuard as agents set it up, against one by hand; a host's processors are emulated, only ratios count",
    files: ['services/agent/test/kernel/wireguard-rates.guest.ts'],
    everyTime: false,
    timeoutMs: 20 * MINUTE_MS,
  },
  {
    name: 'loader',
    what: 'maps, links, filters, rings and verifier logs through the native loader',
    files: loaderTests.map((name) => `bpf/loader/test/${name}.test.ts`),
    everyTime: false,
    timeoutMs: 8 * MINUTE_MS,
  },
];

export interface SuiteOptions {
  readonly kernel: GuestKernel;
  /** At full length (e2e/lib/size.ts). */
  readonly isLong?: boolean;
  readonly onOutput?: (text: string) => void;
  /** Ends the guest and what was started for it. */
  readonly signal?: AbortSignal;
}

export interface SuiteResult extends GuestResult {
  readonly tests: number;
  readonly failed: number;
  readonly skipped: number;
}

/** node:test's closing lines. */
const countOf = (output: string, name: string): number =>
  Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);

/** Of the environment, what tests in a guest go by too. */
const passedOn = (): Record<string, string> =>
  Object.fromEntries(
    ['CI', 'WEIR_TEST_VERBOSE'].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
  );

/** The machine's loopback is somewhere else for a guest. */
const forGuest = (facts: object): string => JSON.stringify(facts).replaceAll('127.0.0.1', MACHINE);

const bundlePath = (name: string, { release }: GuestKernel): string =>
  join(CACHE, `${name}-${release}-${process.pid}.mjs`);

/** Runs the program with a control plane beside it, and the agent as one file. */
const withFleet = async (kernel: GuestKernel, run: (more: Partial<GuestOptions>) => Promise<GuestResult>) => {
  const agent = await bundle(bundlePath('the-agent', kernel), 'services/agent/src/main.ts');
  const control = await startForOthers(GUEST_HOSTS);
  try {
    const env = { WEIR_TEST_CONTROL_PLANE: forGuest(control.facts), WEIR_TEST_AGENT_MAIN: agent };
    return await run({ env, network: true });
  } finally {
    await control.destroy();
    rmSync(agent);
  }
};

/** Runs a suite in a guest of its own. Throws as `inGuest` does; a test that failed is said by the result. */
export const runSuite = async (
  suite: GuestSuite,
  { kernel, isLong, onOutput, signal }: SuiteOptions,
): Promise<SuiteResult> => {
  signal?.throwIfAborted();
  sweepDead(CACHE, /-(\d+)\.mjs$/);
  const program = await bundle(bundlePath(suite.name, kernel), ...suite.files);
  const run = ({ env, network }: Partial<GuestOptions>): Promise<GuestResult> =>
    inGuest({
      kernel,
      command: [process.execPath, '--test-reporter=spec', program],
      timeoutMs: suite.timeoutMs,
      env: { ...passedOn(), ...(isLong ? { WEIR_TEST_LONG: '1' } : {}), ...env },
      network,
      onOutput,
      signal,
    });
  try {
    const result = await (suite.fleet ? withFleet(kernel, run) : run({}));
    return {
      ...result,
      tests: countOf(result.stdout, 'tests'),
      failed: countOf(result.stdout, 'fail') + countOf(result.stdout, 'cancelled'),
      skipped: countOf(result.stdout, 'skipped'),
    };
  } finally {
    rmSync(program);
  }
};

// SPDX-License-Identifier: Apache-2.0
/**
 * A Docker engine of our own: in a network, mount and process namespace of its own, with its own folders and socket. No
 * other engine of the machine is seen or touched, its rules and mounts are nobody else's, and killing one process ends
 * it with every container.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunningProcess, startProcess } from '@weir/infra/processes';
import { ip, type Resources } from '@weir/infra/resources';

export interface Engine {
  readonly process: RunningProcess;
  /** Where published ports answer. */
  readonly netns: string;
  /** For clients. */
  readonly env: Readonly<Record<string, string>>;
}

/** Every mounted cgroup hierarchy, the unified one among them. */
const cgroupRoots = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] as string);

/** One container's, as Docker has it. */
const CPU_SHARES = 1024;
const CPU_WEIGHT = 100;
const CONTAINERS = 20;

/**
 * The containers together weigh as much as so many processes; the group of all of them would weigh as much as one, and on
 * a machine with other work nothing here would come to an end.
 */
const weigh = (root: string, cgroup: string): void => {
  const dir = join(root, cgroup);
  if (existsSync(join(root, 'cpu.shares')) || existsSync(join(root, 'cgroup.subtree_control'))) mkdirSync(dir);
  for (const [file, weight] of [
    ['cpu.shares', CPU_SHARES],
    ['cpu.weight', CPU_WEIGHT],
  ] as const) {
    if (existsSync(join(dir, file))) writeFileSync(join(dir, file), String(CONTAINERS * weight));
  }
};

export const startEngine = async (resources: Resources, dir: string): Promise<Engine> => {
  const netns = `weir-docker-${process.pid}`;
  const cgroup = `weir-docker-${process.pid}`;
  // A path of a socket may have 107 bytes, and a checkout's may be longer.
  const runDir = `/run/weir-docker-${process.pid}`;
  resources.add({ kind: 'netns', name: netns });
  ip('netns', 'add', netns);
  ip('-n', netns, 'link', 'set', 'lo', 'up');
  for (const root of cgroupRoots()) {
    resources.add({ kind: 'cgroup', path: join(root, cgroup) });
    weigh(root, cgroup);
  }
  for (const path of [runDir, join(dir, 'data')]) {
    resources.add({ kind: 'dir', path });
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  const socket = `unix://${runDir}/docker.sock`;
  const engine = await startProcess(resources, join(dir, 'logs'), {
    name: 'dockerd',
    netns,
    command: [
      ...['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
      ...['dockerd', '--host', socket, '--data-root', join(dir, 'data'), '--exec-root', join(runDir, 'exec')],
      ...['--pidfile', join(runDir, 'docker.pid'), '--storage-driver', 'overlay2'],
      // With systemd's driver a parent would have to be a slice of the machine's systemd.
      ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${cgroup}`],
    ],
    ready: (line) => line.includes('API listen on'),
    readyTimeoutMs: 60_000,
  });
  return {
    process: engine,
    netns,
    // Compose 1.29 would call whatever `docker` is on the path to build.
    env: { DOCKER_HOST: socket, COMPOSE_DOCKER_CLI_BUILD: '0', DOCKER_BUILDKIT: '0', DOCKER_CONFIG: runDir },
  };
};

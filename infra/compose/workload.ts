// SPDX-License-Identifier: Apache-2.0
/**
 * A workload of the compose fleet: a container without any network of its own and without any right. It shows its
 * network namespace to the agent of its host, with whom it shares the numbers of processes, by a link; the agent makes
 * the interface. Inside is the workload of the demo.
 *
 *   node infra/compose/workload.ts --control /run/shop/NAME.sock [--tcp 80,8080] [--udp 53]
 */
import { spawn } from 'node:child_process';
import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { WORKLOAD_BINARY } from '../src/station.ts';
import { StationControl } from '../src/station-control.ts';

const NETNS_DIR = '/run/weir-netns';

const { values } = parseArgs({
  options: { control: { type: 'string' }, tcp: { type: 'string' }, udp: { type: 'string' } },
});
const { control, tcp, udp } = values;
if (control === undefined) throw new Error('--control PATH is needed');
const link = join(NETNS_DIR, basename(control, '.sock'));
rmSync(`${link}.part`, { force: true });
symlinkSync(`/proc/${process.pid}/ns/net`, `${link}.part`);
renameSync(`${link}.part`, link);

const end = (code: number): void => {
  rmSync(link, { force: true });
  process.exit(code);
};
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end(0));
const program = spawn(WORKLOAD_BINARY, ['--control', control], { stdio: ['ignore', 'pipe', 'inherit'] });
program.once('exit', () => end(1));
createInterface({ input: program.stdout }).on('line', async (line) => {
  if (line !== 'ready') return;
  await new StationControl(control).ask('listen', { tcp, udp });
  process.stdout.write(
    `${link} serves ${[tcp && `TCP ${tcp}`, udp && `UDP ${udp}`].filter(Boolean).join(', ') || 'nothing'}\n`,
  );
});

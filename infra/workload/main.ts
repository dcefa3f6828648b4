// SPDX-License-Identifier: Apache-2.0
/**
 * A workload of the demo and of the tests: a real process with real sockets in a namespace of its own. It serves
 * echo on the ports it is given and opens connections when asked over its control socket (newline-delimited JSON,
 * one answer a question; pathname sockets are not bound to a network namespace).
 *
 *   node main.ts --control PATH [--tcp 80,8080] [--udp 53]
 */
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { type ProbeRequest, probe } from './probe.ts';
import { type ServedCounts, serveTcp, serveUdp } from './servers.ts';
import { Ticker, type TickerRequest } from './ticker.ts';

export type Command =
  | ({ readonly op: 'probe' } & ProbeRequest)
  | { readonly op: 'probes'; readonly list: readonly ProbeRequest[] }
  | ({ readonly op: 'ticker-start' } & TickerRequest)
  | { readonly op: 'ticker-report' }
  | { readonly op: 'ticker-stop' }
  | { readonly op: 'served' };

const { values } = parseArgs({
  options: { control: { type: 'string' }, tcp: { type: 'string' }, udp: { type: 'string' } },
});
const ports = (text: string | undefined) => (text ? text.split(',').map(Number) : []);
const served: ServedCounts = { connections: 0, datagrams: 0, bytes: 0 };
let ticker: Ticker | undefined;

const execute = async (command: Command): Promise<unknown> => {
  switch (command.op) {
    case 'probe':
      return probe(command);
    case 'probes':
      return Promise.all(command.list.map(probe));
    case 'ticker-start':
      ticker = new Ticker();
      await ticker.start(command);
      return ticker.report();
    case 'ticker-report':
      return ticker?.report();
    case 'ticker-stop':
      return ticker?.stop();
    case 'served':
      return served;
  }
};

if (!values.control) throw new Error('--control PATH is needed');
await Promise.all([
  ...ports(values.tcp).map((port) => serveTcp(port, served)),
  ...ports(values.udp).map((port) => serveUdp(port, served)),
]);
rmSync(values.control, { force: true });
createServer((socket) => {
  socket.on('error', () => {});
  createInterface({ input: socket }).on('line', async (line) => {
    let answer: { ok: true; value: unknown } | { ok: false; error: string };
    try {
      answer = { ok: true, value: await execute(JSON.parse(line) as Command) };
    } catch (error) {
      answer = { ok: false, error: String(error) };
    }
    socket.write(`${JSON.stringify(answer)}\n`);
  });
}).listen(values.control, () => process.stdout.write('ready\n'));

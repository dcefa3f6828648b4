// SPDX-License-Identifier: Apache-2.0
/** A witness on the network between the hosts: what passes an interface of another namespace while something is done. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inside, netnsPath } from './joined-hosts.ts';

/** What `ping -p` repeats: 16 bytes of it, and it can be found. */
export const MARKER = Buffer.from('WeirInTheClear!!');
export const MARKER_HEX = MARKER.toString('hex');
/** The kernel hands packets over in blocks, at the latest so much later. */
const SETTLE_MS = 1_500;

export interface Capture {
  /** Every byte that was seen. */
  readonly bytes: Buffer;
  /** One line each: packets of WireGuard, and what is neither that nor asks for neighbours. */
  readonly encrypted: readonly string[];
  readonly others: readonly string[];
}

const NEIGHBOURS = 'arp or ip6 multicast or (icmp6 and ip6[40] >= 133 and ip6[40] <= 137)';

const linesOf = (path: string, filter: string): string[] =>
  execFileSync('tcpdump', ['-nn', '-t', '-r', path, filter], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .split('\n')
    .filter((line) => line !== '');

export const capture = async (netns: string, interfaceName: string, work: () => Promise<void>): Promise<Capture> => {
  const dir = mkdtempSync(join(tmpdir(), `weir-capture-${process.pid}-`));
  const path = join(dir, 'seen.pcap');
  const options = ['-i', interfaceName, '-U', '-s', '0', '-Z', 'root', '-w', path];
  const tcpdump = spawn('nsenter', [`--net=${netnsPath(netns)}`, '--', 'tcpdump', ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    await new Promise<void>((resolve, reject) => {
      let said = '';
      tcpdump.stderr.on('data', (chunk) => {
        said += chunk;
        if (said.includes('listening on')) resolve();
      });
      tcpdump.once('exit', () => reject(new Error(`tcpdump ended: ${said}`)));
    });
    await work();
    await sleep(SETTLE_MS);
    const ended = once(tcpdump, 'exit');
    tcpdump.kill('SIGINT');
    await ended;
    return {
      bytes: readFileSync(path),
      encrypted: linesOf(path, 'udp port 51871'),
      others: linesOf(path, `not udp port 51871 and not (${NEIGHBOURS})`),
    };
  } finally {
    tcpdump.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
};

/** What is seen between h1 and the others. */
export const onTheWire = (work: () => Promise<void>): Promise<Capture> => capture('router', 'h1', work);

export const nothingPlain = ({ bytes, others, encrypted }: Capture): void => {
  assert.deepEqual(others, [], 'on the network between the hosts');
  assert.equal(bytes.includes(MARKER), false, 'what was said is not to be read');
  assert.ok(encrypted.length > 0, 'something was sent');
};

/** One echo request with words that can be found, and what ping says of it. */
export const ping = (from: string, to: string, ...more: string[]): string => {
  try {
    return inside(from, 'ping', '-n', '-c', '1', '-W', '20', '-s', '200', '-p', MARKER_HEX, ...more, to);
  } catch (error) {
    return String((error as { stdout?: string }).stdout);
  }
};

export const pinged = (from: string, to: string, ...more: string[]): void =>
  assert.match(ping(from, to, ...more), /1 received/, `${from} to ${to}`);

/**
 * Long ones get through. Not each: what a peer sent is handed on by whichever CPU has just decrypted some of it, so a
 * fragment may overtake the first one, without which nobody knows whose it is (175).
 */
export const fragmentsPass = (from: string, to: string): void =>
  assert.match(ping(from, to, '-s', '4000', '-c', '5', '-i', '0.2', '-W', '5'), /[1-5] received/, `${from} to ${to}`);

// SPDX-License-Identifier: Apache-2.0
/** DSR by IPIP with real sockets: through tc and through XDP, long packets too, answered past the balancer. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_counter } from '../gen/index.ts';
import { DsrPlaces, VIP } from './lib/dsr-places.ts';

const BYTES = 300_000;

/** Says how much has come, and who has asked. */
const SERVER = `
require('node:net').createServer((socket) => {
  let came = 0;
  socket.on('data', (data) => { came += data.length; if (came === ${BYTES}) socket.end(came + ' ' + socket.remoteAddress); });
  socket.on('error', () => {});
}).listen({ port: 81, host: '::' }, () => process.stdout.write('ready'));
`;
const CLIENT = `
const socket = require('node:net').connect(80, process.argv[1], () => socket.write(Buffer.alloc(${BYTES}, 'x')));
let text = '';
setTimeout(() => { process.stdout.write('timeout'); process.exit(0); }, 8000);
socket.on('data', (data) => { text += data; }).on('error', (error) => { text = error.code; });
socket.on('close', () => { process.stdout.write(text); process.exit(0); });
`;

describe('DSR by IPIP', { skip: needKernel() }, () => {
  let places: DsrPlaces;
  let server: ChildProcess | undefined;
  before(async () => {
    places = await DsrPlaces.create();
    server = spawn('nsenter', [`--net=${places.netns('w')}`, process.execPath, '-e', SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (server.stdout) await once(server.stdout, 'data');
  });
  after(async () => {
    server?.kill('SIGKILL');
    await places.destroy();
  });

  const ask = async (address: string): Promise<string> => {
    const client = spawn('nsenter', [`--net=${places.netns('c')}`, process.execPath, '-e', CLIENT, '--', address], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    client.stdout.on('data', (data) => {
      text += data;
    });
    await once(client, 'close');
    return text;
  };
  const encapsulated = () => places.balancer.counter(weir_counter.COUNTER_SERVICE_ENCAPSULATED);
  const takenOff = () => places.host.counter(weir_counter.COUNTER_SERVICE_TAKEN_OFF);

  for (const way of ['tc', 'XDP'])
    test(`through ${way}: both families, packets that are too long among them`, async () => {
      if (way === 'XDP') await places.accelerate();
      for (const [address, client] of [
        [VIP.ip4, '::ffff:10.50.1.2'],
        [VIP.ip6, 'fd50:1::2'],
      ] as const) {
        // biome-ignore format: a table
        const [sent, taken] = [await encapsulated(), await takenOff()];
        assert.equal(await ask(address), `${BYTES} ${client}`);
        assert.ok((await encapsulated()) - sent >= 5);
        assert.ok((await takenOff()) - taken >= 5);
      }
    });
});

// SPDX-License-Identifier: Apache-2.0
/**
 * DSR with real sockets: packets inside others and with an option, through tc and through XDP, long packets too, streams and
 * datagrams, answered past the balancer.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_counter } from '../gen/index.ts';
import { type Dispatch, DsrPlaces, VIP } from './lib/dsr-places.ts';

const BYTES = 300_000;
/** Cut by the client and put together by the backend. */
const LONG = 4_000;

/** Says how much has come, and who has asked. */
const SERVER = `
require('node:net').createServer((socket) => {
  let came = 0;
  socket.on('data', (data) => { came += data.length; if (came === ${BYTES}) socket.end(came + ' ' + socket.remoteAddress); });
  socket.on('error', () => {});
}).listen({ port: 81, host: '::' }, () => {
  const datagrams = require('node:dgram').createSocket('udp6');
  datagrams.on('message', (data, from) => datagrams.send(data.length + ' ' + from.address, from.port, from.address));
  datagrams.bind(81, '::', () => process.stdout.write('ready'));
});
`;
const CLIENT = `
const socket = require('node:net').connect(80, process.argv[1], () => socket.write(Buffer.alloc(${BYTES}, 'x')));
let text = '';
setTimeout(() => { process.stdout.write('timeout'); process.exit(0); }, 8000);
socket.on('data', (data) => { text += data; }).on('error', (error) => { text = error.code; });
socket.on('close', () => { process.stdout.write(text); process.exit(0); });
`;
/** Sends again what was too long the first time, as its sender is told. */
const ASK = `
const [address, bytes] = process.argv.slice(1);
const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
const send = () => socket.send(Buffer.alloc(Number(bytes), 'x'), () => {});
socket.on('message', (data) => { process.stdout.write(data); process.exit(0); }).on('error', () => {});
setTimeout(() => { process.stdout.write('timeout'); process.exit(0); }, 8000);
socket.connect(80, address, () => { send(); setInterval(send, 200); });
`;

describe('DSR', { skip: needKernel() }, () => {
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

  const run = async (program: string, ...args: readonly string[]): Promise<string> => {
    const client = spawn('nsenter', [`--net=${places.netns('c')}`, process.execPath, '-e', program, '--', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    client.stdout.on('data', (data) => {
      text += data;
    });
    await once(client, 'close');
    return text;
  };
  const SENT = {
    ipip: weir_counter.COUNTER_SERVICE_ENCAPSULATED,
    option: weir_counter.COUNTER_SERVICE_MARKED,
  } as const;
  const CLIENTS = [[VIP.ip4, '::ffff:10.50.1.2'], [VIP.ip6, 'fd50:1::2']] as const; // biome-ignore format: a table
  const takenOff = () => places.host.counter(weir_counter.COUNTER_SERVICE_TAKEN_OFF);

  const streams = async (dispatch: Dispatch): Promise<void> => {
    for (const [address, client] of CLIENTS) {
      const [sent, taken] = [await places.balancer.counter(SENT[dispatch]), await takenOff()];
      assert.equal(await run(CLIENT, address), `${BYTES} ${client}`);
      assert.ok((await places.balancer.counter(SENT[dispatch])) - sent >= 5);
      // Of a stream only what begins it carries the option.
      const came = (await takenOff()) - taken;
      assert.ok(dispatch === 'ipip' ? came >= 5 : came === 1, `${came} taken off`);
    }
  };
  const datagrams = async (): Promise<void> => {
    for (const [address, client] of CLIENTS)
      for (const bytes of [10, LONG]) {
        const taken = await takenOff();
        assert.equal(await run(ASK, address, String(bytes)), `${bytes} ${client}`);
        assert.ok((await takenOff()) > taken);
      }
  };

  for (const way of ['tc', 'XDP'])
    for (const dispatch of ['ipip', 'option'] as const)
      test(`LB-06 by ${dispatch} through ${way}: both families, packets that are too long among them`, async () => {
        if (way === 'XDP' && dispatch === 'ipip') await places.accelerate();
        await places.serve(dispatch);
        await streams(dispatch);
        await datagrams();
      });

  test('LB-23 a next hop that is not known is counted, and asked for by what tc sends instead', async () => {
    const missing = () => places.balancer.counter(weir_counter.COUNTER_SERVICE_NO_NEIGHBOUR);
    const before = await missing();
    for (let i = 0; (await missing()) === before; i++) {
      assert.ok(i < 20, 'no next hop was missed');
      await places.forgetNextHop();
      await datagrams();
    }
  });

  for (const dispatch of ['ipip', 'option'] as const)
    test(`LB-06 by ${dispatch} without a table of Maglev: the host that was asked remembers`, async () => {
      await places.serve(dispatch, false);
      const hits = await places.balancer.counter(weir_counter.COUNTER_SERVICE_FLOW_HIT);
      await streams(dispatch);
      await datagrams();
      assert.ok((await places.balancer.counter(weir_counter.COUNTER_SERVICE_FLOW_HIT)) - hits >= 10);
    });
});

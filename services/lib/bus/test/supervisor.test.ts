// SPDX-License-Identifier: Apache-2.0
/** A broker whose disk is full looks alive to everything but a probe that is acknowledged. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Bus,
  connectBus,
  createKeys,
  ensureStreams,
  type NatsEvent,
  natsServerConfig,
  probePermissions,
  publishEvents,
  STREAM,
  serviceInbox,
  servicePermissions,
  subjects,
  superviseNats,
} from '../src/index.ts';

const until = async (what: () => boolean | Promise<boolean>, ms: number): Promise<void> => {
  const end = Date.now() + ms;
  while (!(await what())) {
    assert.ok(Date.now() < end, `not within ${ms} ms: ${what}`);
    await sleep(20);
  }
};
const probe = createKeys('user');
const service = createKeys('user');
const MAX_STORE_BYTES = 1024 ** 3;
const config = (): string =>
  natsServerConfig({
    maxStoreBytes: MAX_STORE_BYTES,
    users: [
      { name: 'probe', publicKey: probe.publicKey, permissions: probePermissions() },
      {
        name: 'inventory',
        publicKey: service.publicKey,
        permissions: { ...servicePermissions('inventory'), publish: ['>'] },
      },
    ],
  });
const fast = {
  dieWithParent: true,
  probeSeed: probe.seed,
  probeIntervalMs: 200,
  probeTimeoutMs: 1_000,
  misses: 2,
};

test('a killed server is started again on its port', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-supervise-'));
  const events: NatsEvent[] = [];
  const server = await superviseNats({
    dir,
    maxStoreBytes: MAX_STORE_BYTES,
    config: config(),
    ...fast,
    onEvent: (event) => void events.push(event),
  });
  try {
    const { pid } = server.process;
    server.process.kill('SIGKILL');
    await until(() => server.process.pid !== pid && server.healthy(), 60_000);
    assert.deepEqual(events.map(({ type }) => type).slice(0, 3), ['started', 'exited', 'started']);
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a full disk is seen by the probe, and what was acknowledged survives the restart', {
  skip: process.getuid?.() === 0 ? false : 'mounts a tmpfs: needs root',
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-supervise-'));
  const storeDir = join(dir, 'store');
  execFileSync('mkdir', [storeDir]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', `weir-${process.pid}`, storeDir]);
  const filler = join(storeDir, 'filler');
  writeFileSync(filler, Buffer.alloc(12 * 1024 ** 2));
  const events: NatsEvent[] = [];
  let bus: Bus | undefined;
  let server: Awaited<ReturnType<typeof superviseNats>> | undefined;
  try {
    server = await superviseNats({
      dir,
      storeDir,
      maxStoreBytes: MAX_STORE_BYTES,
      config: config(),
      ...fast,
      onEvent: (event) => void events.push(event),
    });
    const connected = await connectBus({
      servers: server.url,
      name: 'test',
      nkeySeed: service.seed,
      inboxPrefix: serviceInbox('inventory'),
    });
    bus = connected;
    await ensureStreams(connected.jsm, { eventsMaxBytes: 512 * 1024 ** 2 });
    const payload = new Uint8Array(64 * 1024);
    let acknowledged = 0;
    for (let seq = 0; seq < 400 && !events.some(({ type }) => type === 'disk-full'); seq += 1) {
      try {
        await publishEvents(connected.js, subjects.evtFlow.build({ host: 'a' }), payload, `a:1:${seq}`, {
          timeoutMs: 500,
        });
        acknowledged += 1;
      } catch {
        await sleep(100);
      }
    }
    await until(() => events.some(({ type }) => type === 'disk-full') && server?.healthy() === false, 60_000);
    rmSync(filler);
    await until(() => events.some(({ type }) => type === 'killed'), 60_000);
    await until(() => server?.healthy() === true, 60_000);
    let messages = 0;
    await until(async () => {
      messages = await connected.jsm.streams.info(STREAM.EVENTS).then(
        ({ state }) => state.messages,
        () => 0,
      );
      return messages > 0;
    }, 20_000);
    assert.ok(acknowledged > 0 && messages >= acknowledged, `${messages} of ${acknowledged} are there`);
  } finally {
    await bus?.close();
    await server?.stop();
    execFileSync('umount', ['-l', storeDir]);
    rmSync(dir, { recursive: true, force: true });
  }
});

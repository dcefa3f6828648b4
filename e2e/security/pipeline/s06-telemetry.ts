// SPDX-License-Identifier: Apache-2.0
/** A host that lies about who it is, what it saw and how it is encoded harms nobody but itself. */
import type { TestContext } from 'node:test';
import { publishEvents, subjects } from '@weir/bus';
import { type Pipeline, until } from '@weir/infra/pipeline';
import type { Accounts } from '../../faults/pipeline/accounts.ts';
import { asHost, BOOT, batch, send, untilStored } from '../../faults/pipeline/bus.ts';
import { report } from '../../lib/figures.ts';

export const S06_HOSTS = ['s06-a', 's06-b'] as const;
const HONEST = 500;
const TEN_MIB = 10 << 20;
/** Field 99, varint: of a schema that nobody has yet. */
const FUTURE_FIELD = Uint8Array.of(0x98, 0x06, 0x01);
/** Field 3, a string of two bytes that are no UTF-8: the version in a heartbeat. */
const BAD_UTF8 = Uint8Array.of(0x1a, 0x02, 0xff, 0xfe);

export const forgedTelemetry = async (t: TestContext, pipeline: Pipeline, accounts: Accounts): Promise<void> => {
  const [a, b] = S06_HOSTS;
  const bus = await asHost(pipeline.control, a);
  const own = subjects.evtFlow.build({ host: a });
  const refused = async (work: () => Promise<unknown>): Promise<number> => {
    try {
      await work();
      return 0;
    } catch {
      return 1;
    }
  };
  const id = (host: string, seq: number): string => `${host}:${BOOT}:${seq}`;
  // The broker refuses these.
  let atBroker = await refused(() =>
    publishEvents(bus.js, subjects.evtFlow.build({ host: b }), batch(1, 10), id(b, 1), { timeoutMs: 1_000 }),
  );
  atBroker += await refused(() =>
    publishEvents(bus.js, own, new Uint8Array(TEN_MIB), id(a, 70_001), { timeoutMs: 1_000 }),
  );
  await until('the bus to be connected', 30_000, async () => bus.nc.flush().then(() => true));
  // Analytics refuses these.
  const lies: readonly [bytes: Uint8Array, id: string][] = [
    [batch(1, 10), id(b, 1)],
    [batch(20_001, 10), id(a, 20_002)],
    [batch(30_001, 10), `${a}:${BOOT + 1}:30001`],
    [Buffer.from('\xff\xfe not protobuf', 'latin1'), id(a, 40_001)],
    [Buffer.concat([batch(50_001, 10), Uint8Array.of(0x9f, 0x06)]), id(a, 50_001)],
    [batch(60_001, 10).subarray(0, 200), id(a, 60_001)],
  ];
  for (const [bytes, messageId] of lies) await publishEvents(bus.js, own, bytes, messageId);
  bus.nc.publish(subjects.hb.build({ host: a }), BAD_UTF8);
  // What is honest, and what only a newer agent would say, is stored.
  await send(bus, a, 1, HONEST);
  await publishEvents(bus.js, own, Buffer.concat([batch(HONEST + 1, 10), FUTURE_FIELD]), id(a, HONEST + 1));
  await untilStored(accounts, { [a]: HONEST + 10 });
  await until('lies are set aside', 30_000, async () => (await accounts.deadLetters(a)).length >= lies.length);
  const [rowsA, rowsB, letters] = await Promise.all([accounts.rows(a), accounts.rows(b), accounts.deadLetters(a)]);
  report(
    t,
    'S06',
    { refused_by_broker: atBroker, set_aside: letters.length, rows_of_b: rowsB.rows, rows_of_a: rowsA.rows },
    [
      ["another's subject and 10 MiB are refused by the broker", atBroker === 2],
      [
        'every lie is counted, with a reason',
        letters.length === lies.length && letters.every(({ reason }) => reason !== ''),
      ],
      ['0 rows for the other host', rowsB.rows === 0],
      ['what is honest is stored', rowsA.rows === HONEST + 10],
    ],
  );
  await bus.close();
};

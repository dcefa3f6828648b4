// SPDX-License-Identifier: Apache-2.0
/**
 * The broker and the database as we ship them: the demo's and the tests' from the one that runs, compose's from the text
 * that its `keys` writes (infra/test/compose.test.ts looks at the rest of that file).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Bus, connectBus, natsServerBinary, STREAM } from '@weir/bus';
import { createPool } from '@weir/db';
import { containerBusConfig, createCredentials } from '@weir/infra/credentials';
import type { Pipeline } from '@weir/infra/pipeline';
import { asService } from '../../faults/pipeline/bus.ts';
import { report } from '../../lib/figures.ts';

const MAX_PAYLOAD_BYTES = 8 * 1024 ** 2;
const MORE_THAN_ALLOWED_BYTES = 100 * 1024 ** 3;

/** `NAME: { ... }` of a text in nats-server's format, with the braces in it; undefined without one. */
const block = (text: string, name: string): string | undefined => {
  const start = new RegExp(`\\b${name}: ?\\{`).exec(text);
  if (!start) return undefined;
  const from = start.index + start[0].length;
  let depth = 1;
  let end = from;
  for (; depth > 0 && end < text.length; end += 1) {
    if (text[end] === '{') depth += 1;
    if (text[end] === '}') depth -= 1;
  }
  return text.slice(from, end - 1);
};

const number = (text: string | undefined, name: string): number =>
  Number(new RegExp(`\\b${name}: ?(\\d+)`).exec(text ?? '')?.[1] ?? Number.NaN);

/** What is wrong with it. */
const faultsOf = (text: string): string[] => {
  const accounts = block(text, 'accounts') ?? '';
  const weir = block(accounts, 'WEIR') ?? '';
  const limits = block(weir, 'jetstream');
  const users = [...accounts.matchAll(/\bnkey: (\w+)/g)].map(([, key]) => key ?? '');
  const wide = [...accounts.matchAll(/allow: \[(.*)\]/g)].flatMap(([, list]) =>
    (list ?? '').split(', ').filter((subject) => /^"[*>.]+"$/.test(subject)),
  );
  const rules: readonly (readonly [string, boolean])[] = [
    ['no_auth_user', !text.includes('no_auth_user')],
    ['another listener', !/\b(websocket|mqtt|leafnodes?|gateway|cluster)\b\s*[:{]/.test(text)],
    ['a password or token', !/\b(password|pass|token|authorization)\b\s*[:={]/.test(text)],
    ['monitoring beyond loopback', !/\bhttps?(_port)?:(?! "127\.0\.0\.1:)/.test(text)],
    ['no system account of its own', /^system_account: SYS$/m.test(text)],
    ['an account without users', /nkey: U/.test(weir) && /nkey: U/.test(block(accounts, 'SYS') ?? '')],
    ['a user that is no public key', users.length > 0 && users.every((user) => /^U[A-Z2-7]{55}$/.test(user))],
    ['a user without a list', (weir.match(/\bnkey:/g) ?? []).length === (weir.match(/permissions: \{/g) ?? []).length],
    [`a user that may everything: ${wide}`, wide.length === 0],
    ['no limit of the account on disk', number(limits, 'max_file') > 0],
    ['no limit of the account in memory', number(limits, 'max_memory') > 0],
    ['the account may more than the server', number(text, 'max_file_store') >= number(limits, 'max_file')],
    ['max_payload', number(text, 'max_payload') <= MAX_PAYLOAD_BYTES],
    ['max_connections', number(text, 'max_connections') > 0],
  ];
  return rules.filter(([, holds]) => !holds).map(([fault]) => fault);
};

const acceptedByServer = (text: string): boolean => {
  const dir = mkdtempSync(join(tmpdir(), `weir-s24-${process.pid}-`));
  try {
    writeFileSync(join(dir, 'nats.conf'), text);
    execFileSync(natsServerBinary(), ['-t', '-c', join(dir, 'nats.conf')], { stdio: 'pipe' });
    return true;
  } finally {
    rmSync(dir, { recursive: true });
  }
};

const mayGrowBeyondItsAccount = async (bus: Bus): Promise<boolean> => {
  const { config } = await bus.jsm.streams.info(STREAM.EVENTS);
  try {
    await bus.jsm.streams.update(STREAM.EVENTS, { ...config, max_bytes: MORE_THAN_ALLOWED_BYTES });
    return true;
  } catch {
    return false;
  }
};

/** Addresses at which a process listens. */
const listeners = (pid: number): string[] =>
  execFileSync('ss', ['-Hltnp'], { encoding: 'utf8', env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } })
    .split('\n')
    .filter((line) => line.includes(`pid=${pid},`))
    .map((line) => line.split(/\s+/)[3] as string);

const rulesOfDatabase = async (url: string): Promise<string[]> => {
  const pool = createPool({ url, max: 1, name: 'S24' });
  try {
    const { rows } = await pool.query('select auth_method from pg_hba_file_rules');
    return rows.map((row) => row.auth_method as string);
  } finally {
    await pool.end();
  }
};

export const hardening = async (t: TestContext, pipeline: Pipeline): Promise<void> => {
  const running = readFileSync(join(pipeline.options.dir, 'nats', 'nats.conf'), 'utf8');
  const container = containerBusConfig(createCredentials(['h1', 'h2']));
  const faults = [...faultsOf(running), ...faultsOf(container)];
  // That the lint sees what it is for.
  const spoilt = faultsOf(
    `${container.replace('127.0.0.1:8222', '0.0.0.0:8222').replace(/max_file: \d+, /, '')}\nno_auth_user: "x"\nwebsocket: { port: 80 }\n`,
  );
  assert.deepEqual(spoilt.slice(0, 3), ['no_auth_user', 'another listener', 'monitoring beyond loopback']);
  assert.ok(spoilt.includes('no limit of the account on disk'));

  const { control } = pipeline;
  const stranger = await connectBus({ servers: control.natsUrl, name: 'stranger' }).then(
    () => 'came in',
    ({ code }: { code: string }) => code,
  );
  const bus = await asService(control, 'policy');
  const grew = await mayGrowBeyondItsAccount(bus);
  const payload = bus.nc.info?.max_payload ?? 0;
  const listening = listeners(control.nats.pid);
  const methods = await rulesOfDatabase(control.databaseUrl);
  report(
    t,
    'S24',
    {
      faults: faults.length,
      stranger,
      max_payload: payload,
      listeners: listening.join(','),
      pg_hba: methods.join(','),
    },
    [
      [`no fault in the configurations: ${faults.join('; ')}`, faults.length === 0],
      ["nats-server takes compose's configuration", acceptedByServer(container)],
      ['nobody comes in without a key', stranger === 'UNAUTHENTICATED'],
      ['a stream cannot grow beyond its account', !grew],
      ['max_payload is 8 MiB', payload === MAX_PAYLOAD_BYTES],
      ['the broker listens for clients only', listening.length === 1 && control.natsUrl.endsWith(listening[0] ?? '')],
      ['Postgres trusts nobody', methods.length > 0 && methods.every((method) => method === 'scram-sha-256')],
    ],
  );
  await bus.close();
};

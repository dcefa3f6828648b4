// SPDX-License-Identifier: Apache-2.0
/** Completion: what the engine offers, and a real bash that has it loaded. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { FLEET_ROUTES } from './fleet-routes.ts';
import { against, createPlayer, nobodyAt, weir } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-complete-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const config = join(dir, 'config.yaml');
writeFileSync(config, 'contexts: {lab: {policy: "http://127.0.0.1:9"}, live: {policy: "http://127.0.0.1:9"}}\n');

const offered = async (...words: string[]): Promise<string[]> => {
  const { code, out, err } = await against(FLEET_ROUTES, ['complete', '--', ...words], {
    env: { WEIR_CONFIG: config, WEIR_COMPLETE_TIMEOUT_MS: '30000' },
  });
  assert.deepEqual([code, err], [0, '']);
  return out.split('\n').map((line) => line.split('\t')[0] ?? '');
};

for (const [words, wanted] of [
  [['sta'], ['status', ':4']],
  [
    ['get', 'workl'],
    ['workloads', ':4'],
  ],
  [
    ['get', 'workloads', ''],
    ['shop/web', 'shop/db', ':4'],
  ],
  [
    ['get', 'workload', 'shop/w'],
    ['shop/web', ':4'],
  ],
  [
    ['get', 'hosts', ''],
    ['h1', 'h2', ':4'],
  ],
  [
    ['get', 'policies', 'NetworkPolicy/shop/d'],
    ['NetworkPolicy/shop/db', ':4'],
  ],
  [
    ['get', 'identities', ''],
    ['256', '257', ':4'],
  ],
  [
    ['get', 'workloads', '-n', ''],
    ['shop', ':4'],
  ],
  [
    ['get', 'workloads', '--host', 'h'],
    ['h1', 'h2', ':4'],
  ],
  [
    ['get', 'workloads', '-o', ''],
    ['table', 'wide', 'json', 'yaml', ':4'],
  ],
  [
    ['delete', 'NetworkPolicy/shop/db', ''],
    ['NetworkPolicy/shop/closed', ':4'],
  ],
  [
    ['explain', '--from', 'shop/w'],
    ['shop/web', ':4'],
  ],
  [
    ['explain', '--from', 'shop/web', '--to', ''],
    ['shop/web', 'shop/db', ':4'],
  ],
  [
    ['explain', '--to=shop/d'],
    ['--to=shop/db', ':4'],
  ],
  [
    ['observe', '--not', '--from-workload', 'shop/'],
    ['shop/web', 'shop/db', ':4'],
  ],
  [
    ['observe', '--to-pod=shop/d'],
    ['--to-pod=shop/db', ':4'],
  ],
  [
    ['observe', '--verdict', 'D'],
    ['DROPPED', ':4'],
  ],
  [
    ['observe', '--rule-id', ''],
    ['17', '18', ':4'],
  ],
  [
    ['observe', '--time-format', 'RFC1'],
    ['RFC1123Z', ':4'],
  ],
  [
    ['observe', '--from-work'],
    ['--from-workload', ':4'],
  ],
  [
    ['apply', '--tra'],
    ['--trace', ':4'],
  ],
  [['apply', '-f', ''], [':0']],
  [
    ['config', 'set', 'current-context', 'l'],
    ['lab', 'live', ':4'],
  ],
  [
    ['config', 'get', 'contexts.lab.p'],
    ['contexts.lab.policy', ':4'],
  ],
  [
    ['prefilter', ''],
    ['list', 'get', 'set', 'delete', 'help', ':4'],
  ],
  [
    ['pools', 'delete', ''],
    ['default', ':4'],
  ],
  [
    ['pools', 'set', 'default', 'block_bits'],
    ['block_bits4=', 'block_bits6=', ':4'],
  ],
  [
    ['network', 'set', 'masquerade.ipv'],
    ['masquerade.ipv4=', 'masquerade.ipv6=', ':4'],
  ],
  [
    ['get', 'egress-gateways', ''],
    ['out', ':4'],
  ],
  [
    ['workloads', 'set', 'shop/d'],
    ['shop/db', ':4'],
  ],
  [
    ['health', '--from', ''],
    ['h1', 'h2', ':4'],
  ],
  [['nothing', 'at', 'all', ''], [':4']],
] as const) {
  test(`weir ${words.join(' ')}|`, async () => assert.deepEqual(await offered(...words), wanted));
}

test('names that would drive a terminal are not offered', async () => {
  const labels = await offered('get', 'workloads', '-l', '');
  assert.deepEqual(labels, ['app=web', 'app=db', ':4']);
});

test('a service that is away, refuses, or does not answer: nothing is offered, nothing is said, status 0', async () => {
  const words = ['complete', '--', 'get', 'hosts', ''];
  const silent = { 'GET /v1/hosts': () => {} };
  const away = await weir(words, { env: { WEIR_INVENTORY_URL: await nobodyAt() } });
  for (const outcome of [away, await against({}, words), await against(silent, words)]) {
    assert.deepEqual([outcome.code, outcome.out, outcome.err], [0, ':4', '']);
  }
  const wrong = join(dir, 'wrong.yaml');
  writeFileSync(wrong, 'contexts: 5\n');
  const broken = await weir(words, { env: { WEIR_CONFIG: wrong } });
  assert.deepEqual([broken.code, broken.out, broken.err], [0, ':4', '']);
});

/** What a bash that has loaded the completion would put in place of the last word, and all that it printed besides. */
const inBash = async (line: string, env: Readonly<Record<string, string>>): Promise<string> => {
  const command = join(dir, 'weir');
  const main = new URL('../src/main.ts', import.meta.url).pathname;
  writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`);
  chmodSync(command, 0o755);
  const program = `
    source <(weir complete bash) || exit 1
    complete -p weir
    COMP_LINE=$1 COMP_POINT=\${#1}
    __weir_complete
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const bash = spawn('bash', ['--norc', '--noprofile', '-c', program, 'bash', line], {
    env: { PATH: `${dir}:${process.env.PATH}`, HOME: dir, WEIR_COMPLETE_TIMEOUT_MS: '30000', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err] = await Promise.all([text(bash.stdout), text(bash.stderr)]);
  assert.equal(err, '');
  const [registered = '', ...found] = out.split('\n');
  assert.equal(registered, 'complete -o default -F __weir_complete weir');
  return found.join('\n').trim();
};

test('a real bash completes names; without a service it says nothing', async () => {
  const player = await createPlayer(FLEET_ROUTES);
  try {
    assert.equal(await inBash('weir get workloads shop/d', player.env), 'shop/db');
    assert.equal(await inBash('weir explain --from shop/web --to=shop/w', player.env), 'shop/web');
    assert.equal(await inBash('weir observe --from-na', player.env), '--from-namespace');
    assert.equal(await inBash('weir get hosts ', player.env), 'h1\nh2');
    const away = await nobodyAt();
    assert.equal(await inBash('weir get hosts ', { WEIR_INVENTORY_URL: away }), '');
  } finally {
    await player.close();
  }
});

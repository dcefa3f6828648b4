// SPDX-License-Identifier: Apache-2.0
/** Contexts in a file, and listings that go on. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { against, createPlayer, listing, weir } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-config-'));
after(() => rmSync(dir, { recursive: true, force: true }));

test('a context that is set is used; WEIR_CONTEXT and the variables of services go before', async () => {
  const path = join(dir, 'deep', 'config.yaml');
  const player = await createPlayer({ 'GET /v1/hosts': listing([]) });
  const run = (words: string, env: Record<string, string> = {}) => weir(words, { env: { WEIR_CONFIG: path, ...env } });
  try {
    assert.equal((await run(`config set contexts.lab.inventory ${player.url}`)).code, 0);
    assert.equal((await run('config set contexts.dark.inventory http://127.0.0.1:9')).code, 0);
    assert.equal((await run('config set current-context lab')).code, 0);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal((await run('get hosts')).code, 0);
    assert.equal(player.asked.length, 1);
    assert.equal((await run('get hosts', { WEIR_CONTEXT: 'dark' })).code, 3);
    assert.equal((await run('get hosts', { WEIR_CONTEXT: 'dark', WEIR_INVENTORY_URL: player.url })).code, 0);
    const unknown = await run('get hosts', { WEIR_CONTEXT: 'light' });
    assert.deepEqual(
      [unknown.code, unknown.err.split('\n')[0]],
      [2, 'error: there is no context light; known: lab, dark'],
    );
    assert.equal((await run('config reset current-context')).code, 0);
    assert.equal((await run('config get current-context')).code, 1);
    assert.equal(
      (await run('config view')).out,
      `contexts:\n  lab:\n    inventory: ${player.url}\n  dark:\n    inventory: http://127.0.0.1:9`,
    );
  } finally {
    await player.close();
  }
});

test('a file that holds what no setting is: told, status 2', async () => {
  const path = join(dir, 'wrong.yaml');
  for (const [text, why] of [
    ['colour: red', /there is no setting colour/],
    ['contexts: 5', /contexts is 5/],
    ['contexts: [', /wrong\.yaml: /],
  ] as const) {
    writeFileSync(path, text);
    const { code, err } = await weir('get hosts', { env: { WEIR_CONFIG: path } });
    assert.equal(code, 2, text);
    assert.match(err, why);
  }
});

test('get -w: every row that is new, different or gone, as changes are told, through an outage; ages are no news', async () => {
  const host = (id: string, state: string, seenS: number) => ({
    ...{ id, state, workloads_ready: 1, workloads_total: 1, realised: { policy: 7 }, underlay_ip4: '192.0.2.1' },
    last_seen_at: new Date(Date.now() - seenS * 1_000).toISOString(),
  });
  const answers = [
    [host('h1', 'alive', 1), host('h2', 'alive', 1)],
    [host('h1', 'alive', 4), host('h2', 'alive', 4)],
    undefined,
    [host('h1', 'stale', 4), host('h3', 'alive', 1)],
  ];
  let round = 0;
  const stop = new AbortController();
  let tell: (text: string) => void = () => {};
  let hangUp: () => void = () => {};
  let streams = 0;
  const change = (id: string): string => `event: change\nid: ${id}\ndata: {"kind":"host","key":"h1"}\n\n`;
  const player = await createPlayer({
    'GET /v1/changes': (_, response) => {
      streams += 1;
      // The second time the service is still starting.
      if (streams === 2) return void response.writeHead(503).end('{"status":503,"detail":"starting"}');
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`retry: 10\n\nevent: ready\nid: 1.${streams}\ndata: {}\n\n`);
      tell = (text) => response.write(text);
      hangUp = () => response.end('event: end\ndata: {}\n\n');
    },
    'GET /v1/hosts': (_, response) => {
      const items = answers[Math.min(round++, answers.length - 1)];
      if (items === undefined) response.writeHead(503).end('{"status":503,"detail":"starting"}');
      else response.end(JSON.stringify({ items, next_cursor: null }));
      // The answer is read, then something changes.
      if (round === 1) setTimeout(() => tell(change('1.5')), 100);
      if (round === 2) setTimeout(() => hangUp(), 100);
    },
  });
  try {
    const lines: string[] = [];
    const { code } = await weir('get hosts -w', {
      env: player.env,
      signal: stop.signal,
      onLine: (line) => {
        lines.push(line.split(/ {2,}/).slice(0, 3).join(' '));
        if (lines.length === 6) stop.abort();
      },
    });
    assert.equal(code, 0);
    assert.deepEqual(lines, [
      'CHANGE NAME STATE',
      'ADDED h1 alive',
      'ADDED h2 alive',
      'MODIFIED h1 stale',
      'ADDED h3 alive',
      'DELETED h2 alive',
    ]);
    assert.equal(round, 4, 'asked only when something was told, and again after a failure');
    const opened = player.asked.filter(({ url }) => url.pathname === '/v1/changes');
    assert.deepEqual(
      opened.map(({ url, headers }) => [url.search, headers['last-event-id']]),
      [
        ['?kind=host', undefined],
        ['?kind=host', '1.5'],
        ['?kind=host', '1.5'],
      ],
    );
  } finally {
    await player.close();
  }
  assert.equal((await against({}, 'get hosts -w -o json')).code, 2);
  assert.equal((await against({}, 'get hosts -w')).code, 1, 'the first answer must be one');
});

// SPDX-License-Identifier: Apache-2.0
/** Texts made to be expensive, at every door that reads policies: refused soon, in little memory, with nothing changed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pipeline } from '@weir/infra/pipeline';
import { PolicyService } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { createRpcClient } from '@weir/rpc';
import { report } from '../../lib/figures.ts';
import { isLong } from '../../lib/size.ts';

const MIB = 1 << 20;
const CLI = new URL('../../../services/cli/src/main.ts', import.meta.url).pathname;
const head = '"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"bomb"}';
const json = (spec: string): string => `{${head},"spec":${spec}}`;
const aliases = `a: &a [1,1,1,1,1,1,1,1,1,1]\n${[...'bcdefghij'].map((key, i) => `${key}: &${key} [${Array(10).fill(`*${'abcdefghij'[i]}`).join(',')}]`).join('\n')}\n`;

const BOMBS: Readonly<Record<string, string>> = {
  'aliases of aliases': aliases,
  '10 MiB of JSON': json(`{"podSelector":{"matchLabels":{"a":"${'x'.repeat(10 * MIB)}"}}}`),
  'the key __proto__': json('{"podSelector":{"matchLabels":{"__proto__":{"polluted":"yes"}}}}'),
  'constructor.prototype': json('{"podSelector":{},"constructor":{"prototype":{"polluted":"yes"}}}'),
  'a key twice': json('{"podSelector":{},"podSelector":{}}'),
  NaN: `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bomb}\nspec: {podSelector: {}, ingress: [{ports: [{port: .nan}]}]}\n`,
  '2^53+1': json('{"podSelector":{},"ingress":[{"ports":[{"port":9007199254740993}]}]}'),
  'nested without end': '['.repeat(100_000),
};

const rssMib = (pid: number, field: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** A legal megabyte: what must be read, away from those who answer. */
const large = Array.from(
  { length: 450 },
  (_, i) =>
    `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p${i}, namespace: default}\nspec:\n  podSelector: {matchLabels: {app: a${i}}}\n  ingress:\n${Array.from({ length: 20 }, (_, r) => `    - from: [{podSelector: {matchLabels: {app: b${r}}}}]\n      ports: [{port: ${1 + r}, protocol: TCP}]\n`).join('')}`,
).join('---\n');

/** In this order: what was written is compared with itself. */
const LARGE_DOORS = { check: '?dry_run=true', diff: '/diff', ...(isLong ? { write: '', compare: '/diff' } : {}) };

/** The longest that somebody else waited for an answer meanwhile, ms. */
const whileOthersAsk = async (url: string, work: () => Promise<void>): Promise<number> => {
  let working = true;
  let longestMs = 0;
  const others = (async () => {
    while (working) {
      const startedAt = performance.now();
      await fetch(`${url}/healthz`);
      longestMs = Math.max(longestMs, performance.now() - startedAt);
      await sleep(5);
    }
  })();
  await work().finally(() => {
    working = false;
  });
  await others;
  return Math.round(longestMs);
};

const weirApply = async (pipeline: Pipeline, text: string): Promise<number> => {
  const file = join(pipeline.options.dir, 'bomb.yaml');
  writeFileSync(file, text);
  const child = spawn(process.execPath, [CLI, 'apply', '-f', file], {
    env: { ...process.env, ...pipeline.control.cliEnv },
    stdio: 'ignore',
  });
  const [code] = await once(child, 'exit');
  return code as number;
};

export const parserBombs = async (t: TestContext, pipeline: Pipeline): Promise<void> => {
  const { urls, grpc, services } = pipeline.control;
  const { pid } = services.policy;
  const url = `${urls.policy}/v1/policies`;
  const policies = async (): Promise<string> => (await fetch(url)).text();
  const client = createRpcClient(PolicyService, grpc.policy);
  const before = await policies();
  const rest = async (text: string): Promise<number> =>
    (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: text })).status;
  await rest('warm: up');
  // Resets the peak of the process' memory.
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const rssBefore = rssMib(pid, 'VmRSS');
  let slowestMs = 0;
  const wrong: string[] = [];
  for (const [name, text] of Object.entries(BOMBS)) {
    const startedAt = performance.now();
    const status = await rest(text);
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    if (status < 400 || status >= 500) wrong.push(`${name}: REST ${status}`);
    const rpcAt = performance.now();
    const accepted = await client.applyPolicies({ documents: text }).then(
      () => true,
      () => false,
    );
    slowestMs = Math.max(slowestMs, performance.now() - rpcAt);
    if (accepted) wrong.push(`${name}: gRPC accepted`);
    const code = await weirApply(pipeline, text);
    if (code === 0) wrong.push(`${name}: weir apply accepted`);
  }
  const extraMib = rssMib(pid, 'VmHWM') - rssBefore;
  const after = await policies();
  // While a legal megabyte is read, compared and written, others are answered.
  const heldUp: Record<string, number> = {};
  const statuses: number[] = [];
  for (const [what, door] of Object.entries(LARGE_DOORS)) {
    heldUp[`${what}_held_ms`] = await whileOthersAsk(urls.policy, async () => {
      const headers = { 'content-type': 'application/yaml' };
      statuses.push((await fetch(`${url}${door}`, { method: 'POST', headers, body: large })).status);
    });
  }
  const blockedMs = Math.max(...Object.values(heldUp));
  report(
    t,
    'S12',
    {
      bombs: Object.keys(BOMBS).length,
      doors: 3,
      slowest_ms: Math.round(slowestMs),
      extra_mib: Math.round(extraMib),
      ...heldUp,
      wrong: wrong.join('; ') || 'none',
    },
    [
      ['each refused at each door', wrong.length === 0],
      ['in 200 ms', !isLong || slowestMs <= 200],
      ['in 50 MiB', !isLong || extraMib <= 50],
      ['nothing changed', after === before && !after.includes('polluted')],
      ['a legal megabyte is read', statuses.every((status) => status === 200)],
      ['and holds nobody up for 100 ms', !isLong || blockedMs <= 100],
    ],
  );
};

// SPDX-License-Identifier: Apache-2.0
/**
 * SCTP by the kernel itself: the four-way handshake, data and its echo. Kernels that have no SCTP see single packets of
 * it in other tests; this one needs a guest.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { Workload } from '@weir/infra/fleet';
import { ALLOWED_PORT, applyPolicy, OTHER_PORT, PATIENT_MS, REFUSED_MS, type Scene } from './scene.ts';

interface Attempt {
  readonly from: Workload;
  readonly port: number;
  readonly host: string;
  readonly allowed: boolean;
}

const attempts = ({ web, client, stranger }: Scene): Attempt[] =>
  [web.ip4, web.ip6].flatMap((host) => [
    { from: client, port: ALLOWED_PORT, host, allowed: true },
    { from: client, port: OTHER_PORT, host, allowed: false },
    { from: stranger, port: ALLOWED_PORT, host, allowed: false },
  ]);

/** What was not as wanted. */
const tryAll = async (list: readonly Attempt[]): Promise<string[]> => {
  const outcomes = await Promise.all(
    list.map(async ({ from, port, host, allowed }) => {
      const timeoutMs = allowed ? PATIENT_MS : REFUSED_MS;
      const { outcome } = await from.probe({ protocol: 'association', host, port, timeoutMs });
      const wanted = allowed ? 'answered' : 'timeout';
      return outcome === wanted ? [] : [`${from.id} -> ${host} ${port}: wanted ${wanted}, got ${outcome}`];
    }),
  );
  return outcomes.flat();
};

/** Leaves the policy in force. */
export const associations = async (scene: Scene): Promise<void> => {
  execFileSync('modprobe', ['sctp']);
  await scene.web.listen({ associations: [ALLOWED_PORT, OTHER_PORT] });
  const list = attempts(scene);
  assert.deepEqual(await tryAll(list.map((attempt) => ({ ...attempt, allowed: true }))), [], 'without a policy');
  await applyPolicy(scene);
  assert.deepEqual(await tryAll(list), [], 'with a policy');
};

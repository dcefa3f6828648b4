// SPDX-License-Identifier: Apache-2.0
/**
 * Limits of what a workload may send and receive, set and taken away through the API while it sends; the API says meanwhile by
 * what each host keeps to them.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { callAll, callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { HOSTS, type Scene, UDP } from './scene.ts';

const LIMIT_BITS = 2_000_000;
const WINDOW_MS = 1_000;
/** Offered: 6 MB/s, 24 times the limit. */
const PAYLOAD_BYTES = 1_200;
const TICK_MS = 0.2;
/** What may go at once besides: a bucket, and what is on its way. */
const SLACK_BYTES = 131_072;

interface Limiter {
  readonly kind: string;
  readonly reason: string;
}

/** What a host whose uplink nobody configured is to use. */
const expectedLimiter = (netns: string): { readonly kind: string; readonly reason: RegExp } => {
  const lo = ['dev', 'lo', 'root'];
  try {
    inNetns(netns, 'tc', 'qdisc', 'add', ...lo, 'fq');
  } catch {
    return { kind: 'token-bucket', reason: /^this kernel has no sch_fq$/ };
  }
  inNetns(netns, 'tc', 'qdisc', 'del', ...lo);
  return { kind: 'edt', reason: /^fq on \S+$/ };
};

export const bandwidth = async ({ fleet, web, db }: Scene): Promise<void> => {
  const limit = async (id: string, body: object): Promise<void> => {
    await callApi(`${fleet.control.urls.inventory}/v1/workloads/${id}`, { method: 'PATCH', body });
    await fleet.waitWorkloadReady(id, 30_000);
  };
  const expected = expectedLimiter(fleet.underlay.bridgeNetns);
  /** `limited` names its limiter and why, every other host says that it has none. */
  const said = async (limited: string | undefined): Promise<void> => {
    let seen: readonly { readonly id: string; readonly egress_limiter: Limiter | null }[] = [];
    await until(
      `${limited ?? 'no host'} to say ${expected.kind}`,
      30_000,
      async () => {
        seen = await callAll(`${fleet.control.urls.inventory}/v1/hosts?limit=100`);
        return seen.every(({ id, egress_limiter: limiter }) =>
          id === limited ? limiter?.kind === expected.kind && expected.reason.test(limiter.reason) : limiter === null,
        );
      },
      () => JSON.stringify(seen.map(({ id, egress_limiter }) => ({ id, egress_limiter }))),
    );
    assert.equal(seen.length, HOSTS.length);
  };
  const flood = { protocol: 'udp', port: UDP, connections: 1, tickMs: TICK_MS, stallMs: 60_000 } as const;
  const drive = await web.hold({ ...flood, host: db.ip4, payloadBytes: PAYLOAD_BYTES });
  /** Bytes that arrived in a window, and how many the limit allows in it. */
  const arrived = async (): Promise<{ bytes: number; allowed: number }> => {
    const [before, start] = [(await db.served()).bytes, performance.now()];
    await sleep(WINDOW_MS);
    const bytes = (await db.served()).bytes - before;
    return { bytes, allowed: (LIMIT_BITS / 8) * ((performance.now() - start) / 1_000) };
  };
  const free = async (when: string) =>
    until(`${when}: more than twice the limit`, 30_000, async () => {
      const { bytes, allowed } = await arrived();
      return bytes > 2 * allowed;
    });
  const held = async (when: string) => {
    let seen = '';
    await until(
      `${when}: no more than the limit`,
      30_000,
      async () => {
        const { bytes, allowed } = await arrived();
        seen = `${bytes} bytes, ${allowed} allowed`;
        return bytes <= allowed + SLACK_BYTES && bytes > allowed / 4;
      },
      () => seen,
    );
  };
  try {
    await Promise.all([free('at first'), said(undefined)]);
    await limit(web.id, { egress_bandwidth: `${LIMIT_BITS / 1_000_000}M` });
    await Promise.all([held('the sender is limited'), said(web.spec.host)]);
    await limit(web.id, { egress_bandwidth: null });
    await limit(db.id, { ingress_bandwidth: `${LIMIT_BITS / 1_000_000}M` });
    await Promise.all([held('the receiver is limited'), said(undefined)]);
    await limit(db.id, { ingress_bandwidth: null });
    await free('without limits again');
  } finally {
    const { sent } = await drive.stop();
    assert.ok(sent > 0);
  }
};

// SPDX-License-Identifier: Apache-2.0
/** What is refused and is to be answered: real sockets hear of it at once, on one host, natively, by tunnel and outside. */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import type { External, Workload } from '@weir/infra/fleet';
import { FAMILIES, PATIENT_MS, REFUSED_MS, type Scene, TCP, UDP } from './scene.ts';

const KEYS = ['FirewallPolicy/default/tells-peers', 'FirewallPolicy/default/tells-itself'] as const;
const POLICIES = `
apiVersion: weir.io/v1
kind: FirewallPolicy
metadata: { name: tells-peers, namespace: default }
spec:
  endpointSelector: { matchLabels: { app: db } }
  denyResponse: Reset
  ingress: [ { action: Allow, fromEndpoints: [] } ]
---
apiVersion: weir.io/v1
kind: FirewallPolicy
metadata: { name: tells-itself, namespace: default }
spec:
  endpointSelector: { matchLabels: { app: evil } }
  denyResponse: Icmp
  egress: [ { action: Allow, toEndpoints: [] } ]
`;

/** As Linux reads "administratively prohibited". */
const PROHIBITED = { ip4: 'EHOSTUNREACH', ip6: 'EACCES' } as const;

const hears = async (from: Workload, to: Workload | External, tcp: 'reset' | 'icmp'): Promise<void> => {
  for (const family of FAMILIES) {
    for (const [protocol, port] of [
      ['tcp', TCP],
      ['udp', UDP],
    ] as const) {
      const wanted = protocol === 'tcp' && tcp === 'reset' ? 'ECONNREFUSED' : PROHIBITED[family];
      const { outcome } = await from.probe({ protocol, host: to[family] ?? '', port, timeoutMs: PATIENT_MS });
      assert.equal(outcome, wanted, `${protocol} ${family} ${from.id} -> ${to[family]}`);
    }
  }
};

export const answers = async ({ fleet, evil, thief, db, outside }: Scene): Promise<void> => {
  const url = `${fleet.control.urls.policy}/v1/policies`;
  const { revision } = await callApi<{ revision: number }>(url, { raw: { type: 'application/yaml', text: POLICIES } });
  await fleet.waitRealised(revision, 60_000);
  await hears(evil, db, 'reset'); // natively
  await hears(thief, db, 'reset'); // by tunnel
  await hears(evil, outside, 'icmp');
  await hears(thief, outside, 'icmp');
  let last = 0;
  for (const key of KEYS) last = (await callApi<{ revision: number }>(`${url}/${key}`, { method: 'DELETE' })).revision;
  await fleet.waitRealised(last, 60_000);
  const { outcome } = await evil.probe({ protocol: 'tcp', host: db.ip4, port: TCP, timeoutMs: REFUSED_MS });
  assert.equal(outcome, 'timeout', 'a refusal is silent again');
};

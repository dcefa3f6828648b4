// SPDX-License-Identifier: Apache-2.0
/** Real attempts from namespaces of workloads. */
import { attempt, ping } from '@weir/loader';
import { PROTOCOLS } from '@weir/net';
import type { Probe } from '../../probe.ts';

export const probeFromNetns: Probe = async ({ netns, address, protocol, port, timeoutMs }) => {
  if (protocol === PROTOCOLS.TCP || protocol === PROTOCOLS.UDP) {
    const name = protocol === PROTOCOLS.TCP ? 'TCP' : 'UDP';
    const { error, sourcePort, us } = await attempt({ netns, address, port, protocol: name, timeoutMs });
    return { error: error === 'ETIMEDOUT' ? 'no answer' : error, sourcePort, durationUs: us };
  }
  const startUs = performance.now() * 1_000;
  const [result] = await ping([address], timeoutMs, netns);
  const durationUs = result?.latencyUs ?? Math.round(performance.now() * 1_000 - startUs);
  return { error: result?.error ?? 'no answer', sourcePort: 0, durationUs };
};

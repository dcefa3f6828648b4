// SPDX-License-Identifier: Apache-2.0
/** `/runtime` of the local API: runtime policies of this host, what their selectors did, and the calls told of last. */
import type { RuntimeCall, RuntimeValue } from '../runtime/events.ts';
import type { Runtime } from '../runtime/start.ts';

/** Bytes that are no UTF-8 become U+FFFD. */
const showValue = (value: RuntimeValue): unknown => {
  switch (value.kind) {
    case 'none':
      return null;
    case 'number':
      return BigInt.asIntN(64, value.value).toString();
    case 'address':
      return { family: value.family, address: value.address, port: value.port };
    case 'path':
      return { path: value.bytes.toString(), mode: `0${value.mode.toString(8)}` };
    default:
      return value.bytes.toString();
  }
};

const showCall = ({ policy, hook, call, pid, tid, selector, signal, isMonitored, result, values }: RuntimeCall) => ({
  ...{ policy, hook, call, pid, tid, selector },
  signal: signal || null,
  monitored: isMonitored,
  arguments: values.map(showValue),
  returned: result === undefined ? null : result.toString(),
});

export const showRuntime = (runtime: Pick<Runtime, 'reports' | 'recent' | 'counts'>, limit: number) => {
  const counts = runtime.counts();
  return {
    policies: runtime.reports.map(({ key, revision, state, mode, hooks }) => ({
      ...{ key, state, mode, hooks },
      revision: Number(revision),
      counts: counts
        .filter(({ policy }) => policy === key)
        .map(({ hook, selector, label, counts: all }) => ({ hook, selector, label: label ?? null, ...all })),
    })),
    calls: runtime.recent.slice(-limit).map(showCall),
  };
};

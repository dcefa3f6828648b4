// SPDX-License-Identifier: Apache-2.0
/** tetragon.FineGuidanceSensors at a unix socket of this host: what the client `tetra` calls. */

import { parseConfigSubject } from '@weir/bus';
import { weirError } from '@weir/errors';
import { FineGuidanceSensors, TracingPolicyMode, TracingPolicyState } from '@weir/proto/tetragon/sensors_pb.js';
import { HealthStatusResult, HealthStatusType } from '@weir/proto/tetragon/tetragon_pb.js';
import { implement, type Registered } from '@weir/rpc';
import type { ProcessCache } from '../processes/cache.ts';
import { VERSION } from '../report/heartbeat.ts';
import type { Report } from '../report/report.ts';
import { type AncestorsOf, compileFilters } from './event-filter.ts';
import { compileFieldFilters } from './field-filter.ts';
import type { LiveEvents } from './live-events.ts';

export interface SensorsOptions {
  readonly live: LiveEvents;
  /** Undefined until processes are watched. */
  readonly cache: () => ProcessCache | undefined;
  readonly report: () => Report;
  readonly features: readonly string[];
}

const NAME = 'weir-agent';

const fleets = (): Promise<never> => {
  throw weirError('UNSUPPORTED', 'runtime policies of this host come from its fleet', {
    fix: 'use weir runtime apply, or the policy service',
  });
};

const unknown = (what: string) => (): Promise<never> => {
  throw weirError('UNSUPPORTED', `this agent has no ${what}`, { fix: 'see its own settings and local API' });
};

const STATES: Readonly<Record<string, TracingPolicyState>> = {
  loaded: TracingPolicyState.TP_STATE_ENABLED,
  partly: TracingPolicyState.TP_STATE_PARTIALLY_ENABLED,
};

/** Those that are for this host, each with what keeps it from being in force. */
const policies = ({ runtime, errors }: Report) => {
  const told = new Map<string, { readonly state: string; readonly error: string }>();
  for (const { subject, state, hooks } of runtime)
    told.set(subject, {
      state,
      error: hooks.flatMap(({ path, limits }) => limits.map((one) => `${path}: ${one}`)).join('; '),
    });
  for (const { subject, message } of errors)
    if (!told.has(subject)) told.set(subject, { state: 'error', error: message });
  return [...told].flatMap(([subject, { state, error }], at) => {
    const found = parseConfigSubject(subject);
    if (found?.kind !== 'runtimePolicy') return [];
    const [, namespace = '-', name = found.key] = found.key.split('/');
    return [
      {
        ...{ id: BigInt(at + 1), name, namespace: namespace === '-' ? '' : namespace, error },
        state: STATES[state] ?? TracingPolicyState.TP_STATE_LOAD_ERROR,
        mode: TracingPolicyMode.TP_MODE_UNKNOWN,
      },
    ];
  });
};

export const sensorsService = ({ live, cache, report, features }: SensorsOptions): Registered => {
  const ancestorsOf: AncestorsOf = (execId) => {
    const known = cache();
    const process = known?.byId(execId);
    if (!known || !process) return [];
    return known.ancestors(process).map(({ pid, binary }) => ({ pid, binary: binary.toString('utf8') }));
  };
  return implement(FineGuidanceSensors, {
    // Of what aggregation_options would put together, events of accept and connect, there is none.
    getEvents: async function* ({ allowList, denyList, fieldFilters }, { signal }) {
      const wanted = compileFilters(allowList, denyList, ancestorsOf);
      const only = compileFieldFilters(fieldFilters);
      for await (const event of live.follow(signal)) {
        if (!wanted(event)) continue;
        only(event);
        yield event;
      }
    },
    getHealth: async () => ({
      healthStatus: [
        cache()
          ? {
              event: HealthStatusType.STATUS,
              status: HealthStatusResult.HEALTH_STATUS_RUNNING,
              details: 'running',
            }
          : {
              event: HealthStatusType.STATUS,
              status: HealthStatusResult.HEALTH_STATUS_STOPPED,
              details: 'processes are not watched',
            },
      ],
    }),
    listTracingPolicies: async () => ({ policies: policies(report()) }),
    addTracingPolicy: fleets,
    deleteTracingPolicy: fleets,
    configureTracingPolicy: fleets,
    enableTracingPolicy: fleets,
    disableTracingPolicy: fleets,
    listSensors: async () => ({ sensors: [{ name: 'processes', enabled: cache() !== undefined }] }),
    enableSensor: fleets,
    disableSensor: fleets,
    removeSensor: fleets,
    getVersion: async () => ({ version: VERSION }),
    getInfo: async () => ({
      version: VERSION,
      name: NAME,
      probes: features.map((name) => ({ Name: name, Enabled: true })),
    }),
    runtimeHook: unknown('need to be told of containers'),
    getDebug: unknown('such flags'),
    setDebug: unknown('such flags'),
  });
};

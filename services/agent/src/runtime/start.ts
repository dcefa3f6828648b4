// SPDX-License-Identifier: Apache-2.0
/**
 * From policies of the configuration to what the kernel does, and from the kernel's events to whoever asks. Nothing else of
 * the agent fails with it: what cannot be attached is said of the policy.
 */
import type { DocumentError } from '../plan/model.ts';
import type { WantedRuntime } from '../plan/runtime-policies.ts';
import type { Platform } from '../platform.ts';
import type { ProcessReporting } from '../processes/reporting.ts';
import type { RuntimeCall } from './events.ts';
import type { RuntimeCount, RuntimePort, RuntimeReport, SelectedPolicy } from './port.ts';

/** Calls that were told of last, for the local API. */
const RECENT_MAX = 1_000;
const NO_HOOKS = 'this agent attaches no hooks of runtime policies';
const NO_PROCESSES = 'processes are not watched on this host, and hooks of runtime policies need to know them';

export interface Runtime {
  /** Never fails. */
  realise(wanted: WantedRuntime): Promise<readonly RuntimeReport[]>;
  readonly reports: readonly RuntimeReport[];
  counts(): readonly RuntimeCount[];
  /** Oldest first. */
  readonly recent: readonly RuntimeCall[];
  inspect(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export interface RuntimeOptions {
  readonly platform: Pick<Platform, 'runtime'>;
  readonly processes: Pick<ProcessReporting, 'ready' | 'current'>;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

const notLoaded = (policies: readonly SelectedPolicy[], reason: string): RuntimeReport[] =>
  policies.map(({ subject, revision, policy: { key, mode, hooks } }) => ({
    ...{ key, subject, revision, mode, state: 'error' },
    hooks: hooks.map(({ path }) => ({ path, backend: 'none', enforces: [], limits: [reason] })),
  }));

/** Of a policy that is not wholly what its document says. */
export const runtimeErrors = (reports: readonly RuntimeReport[]): DocumentError[] =>
  reports
    .filter(({ state }) => state !== 'loaded')
    .map(({ key, subject, revision, state, hooks }) => {
      const wrong = hooks
        .filter(({ limits }) => limits.length > 0)
        .map(({ path, limits }) => `${path}: ${limits.join('; ')}`);
      const what = state === 'error' ? 'is not enforced' : 'is enforced in part';
      return { subject, revision, code: 'UNSUPPORTED', message: `runtime policy ${key} ${what}: ${wrong.join('. ')}` };
    });

export const startRuntime = ({ platform, processes, onTrouble }: RuntimeOptions): Runtime => {
  let recent: readonly RuntimeCall[] = [];
  let reports: readonly RuntimeReport[] = [];
  const port: RuntimePort | undefined = platform.runtime?.({
    onCalls: (calls) => {
      recent = [...recent, ...calls].slice(-RECENT_MAX);
    },
    onTrouble,
  });
  const realise = async ({ policies, workloads }: WantedRuntime): Promise<readonly RuntimeReport[]> => {
    if (!port) return notLoaded(policies, NO_HOOKS);
    if (policies.length > 0) await processes.ready;
    if (policies.length > 0 && !processes.current) return notLoaded(policies, NO_PROCESSES);
    return port.apply(policies, workloads);
  };
  return {
    realise: async (wanted) => {
      try {
        reports = await realise(wanted);
      } catch (error) {
        onTrouble('runtime policies could not be written to the kernel', error);
        reports = notLoaded(wanted.policies, `the kernel refused it: ${(error as Error).message}`);
      }
      return reports;
    },
    get reports() {
      return reports;
    },
    get recent() {
      return recent;
    },
    counts: () => port?.counts() ?? [],
    inspect: async () => (await port?.inspect()) ?? [],
    stop: async () => port?.stop(),
  };
};

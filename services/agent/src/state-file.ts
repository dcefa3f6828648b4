// SPDX-License-Identifier: Apache-2.0
/**
 * The little that the agent must remember and the kernel can't tell: which numbers it gave, which namespace it found
 * behind a path, how much loss it has reported. Replaced whole by rename; a file that can't be read is the same as none,
 * because everything in it can be found again or given anew.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LocalIdState } from './plan/numbers.ts';

export interface AgentState {
  readonly version: 1;
  readonly lastBoot: string;
  readonly localIds: LocalIdState;
  readonly hostNumbers: LocalIdState;
  readonly egressGroups: LocalIdState;
  readonly egressGateways: LocalIdState;
  /** Namespace behind each interface when it was made. */
  readonly netnsIds: Readonly<Record<string, string>>;
  /** Kernel counter of events lost, as far as it was reported by boots before. */
  readonly reportedLost: string;
  /** The same of events that rate limits held back. */
  readonly reportedThrottled: string;
  /** The same of events of processes, by kind. */
  readonly reportedProcessesLost: Readonly<Record<string, string>>;
  /** What `created - expired - present` was when the connections in the kernel began: it would else look like evictions. */
  readonly evictedBase: string;
  /** What makes Unix times of the kernel's in connections' ids, for the uptime of the machine that it was measured in. */
  readonly connectionOffset: { readonly machineBoot: string; readonly ns: string };
}

export const EMPTY_STATE: AgentState = {
  version: 1,
  lastBoot: '0',
  localIds: { next: 1, ids: {} },
  hostNumbers: { next: 1, ids: {} },
  egressGroups: { next: 1, ids: {} },
  egressGateways: { next: 1, ids: {} },
  netnsIds: {},
  reportedLost: '0',
  reportedThrottled: '0',
  reportedProcessesLost: {},
  evictedBase: '0',
  connectionOffset: { machineBoot: '', ns: '0' },
};

export class StateFile {
  readonly #path: string;
  #state: AgentState;
  #saving: Promise<void> = Promise.resolve();

  private constructor(path: string, state: AgentState) {
    this.#path = path;
    this.#state = state;
  }

  static async open(path: string, onTrouble: (what: string, cause: unknown) => void = () => {}): Promise<StateFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    try {
      const read = JSON.parse(await readFile(path, 'utf8')) as Partial<AgentState>;
      if (read.version === 1) return new StateFile(path, { ...EMPTY_STATE, ...read });
      onTrouble(`${path} is of version ${read.version}; it is begun anew`, undefined);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
        onTrouble(`${path} could not be read; it is begun anew`, cause);
    }
    return new StateFile(path, EMPTY_STATE);
  }

  get state(): AgentState {
    return this.#state;
  }

  /** One after the other; the last to resolve holds all changes. */
  save(change: Partial<AgentState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    const saving = this.#saving.catch(() => {}).then(() => this.#write());
    this.#saving = saving;
    return saving;
  }

  async #write(): Promise<void> {
    const next = `${this.#path}.new`;
    const file = await open(next, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(this.#state));
    } finally {
      await file.close();
    }
    await rename(next, this.#path);
  }
}

// SPDX-License-Identifier: Apache-2.0
/** What every command gets: the services, where to print, whether somebody looks at colours, when to stop. */
import type { Client } from './client.ts';
import type { Paint } from './output/table.ts';

export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly client: Client;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  readonly paint: Paint;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly readStdin: () => Promise<string>;
  setExitCode(code: number): void;
}

// SPDX-License-Identifier: Apache-2.0
/** Makes tables away from the thread that has other things to do. */
import { parentPort } from 'node:worker_threads';
import { buildTable, type MaglevInput } from './table.ts';

export interface MaglevRequest {
  readonly id: number;
  readonly input: MaglevInput;
}

export type MaglevReply =
  | { readonly id: number; readonly table: Uint32Array<ArrayBuffer> }
  | { readonly id: number; readonly error: unknown };

const port = parentPort;
port?.on('message', ({ id, input }: MaglevRequest) => {
  try {
    const table = new Uint32Array(buildTable(input));
    port.postMessage({ id, table } satisfies MaglevReply, [table.buffer]);
  } catch (error) {
    port.postMessage({ id, error } satisfies MaglevReply);
  }
});

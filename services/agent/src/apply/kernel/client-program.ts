// SPDX-License-Identifier: Apache-2.0
/**
 * The workloads' program that looks for services, for packets whose sockets nobody has seen. It stands in the place of
 * the plain one while there are services; answers are known through a map that is shown to all programs of workloads.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { turn_sweep_ctx } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { type BpfObject, openObject } from '@weir/loader';
import { forgetAsked, showTurns, TURNS } from './asked.ts';

export const TURNS_MAP = 'service_turns';
/** Of workloads, by interface. */
export const NETNS_MAP = 'workload_netns';

export interface ClientOptions {
  readonly bpffsDir: string;
  /** Of the maps that all objects share. */
  readonly maxEntries: Readonly<Record<string, number>>;
  readonly rodata?: Readonly<Record<string, Uint8Array>>;
  /** Puts the program that looks for services in the place of the workloads' own; undefined: the other way round. */
  readonly useClient?: (object: BpfObject | undefined) => Promise<void>;
}

export const openForServices = async (
  name: 'socket' | 'client',
  { bpffsDir, maxEntries, rodata }: ClientOptions,
): Promise<BpfObject> => {
  const object = await openObject(objectPath(name), {
    ...{ pinDir: bpffsDir, replaceIncompatible: true, maxEntries, rodata },
  });
  await object.commitPins();
  return object;
};

export class ClientProgram {
  readonly #options: ClientOptions;
  #object: BpfObject | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  get object(): BpfObject | undefined {
    return this.#object;
  }

  /** Where an earlier agent had it. */
  async resume(): Promise<void> {
    if (existsSync(join(this.#options.bpffsDir, TURNS_MAP))) await this.open();
  }

  async open(): Promise<void> {
    if (this.#object) return;
    const object = await openForServices('client', this.#options);
    showTurns(object);
    this.#object = object;
    await this.#options.useClient?.(object);
  }

  /** Connections that are over count no more where the fewest decide. */
  async sweep(): Promise<void> {
    if (!this.#object) return;
    const { ctxOut } = await this.#object
      .program('turn_sweep')
      .testRun({ ctx: turn_sweep_ctx.encode({ now_ns: 0n, failed: 0 }) });
    if (turn_sweep_ctx.decode(ctxOut).failed) throw new Error('the walk over what workloads asked for failed');
  }

  async end(): Promise<void> {
    await this.#options.useClient?.(undefined);
    forgetAsked(this.#options.bpffsDir, TURNS);
    this.close();
  }

  /** What is attached stays. */
  close(): void {
    this.#object?.close();
    this.#object = undefined;
  }
}

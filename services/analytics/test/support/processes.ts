// SPDX-License-Identifier: Apache-2.0
/** Events of processes for tests, as an agent would send them. */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { eventMessageId, publishEvents, subjects } from '@weir/bus';
import { Kind, ProcessBatchSchema, type ProcessEventSchema } from '@weir/proto/weir/process/v1/process_pb.js';
import type { TestService } from './app.ts';
import { BOOT } from './flows.ts';

export type EventInit = Exclude<MessageInitShape<typeof ProcessEventSchema>, { readonly $typeName: string }>;

export interface ProcessInit {
  readonly pid: number;
  readonly execNs: number;
  readonly parent?: { readonly pid: number; readonly execNs: number };
  readonly binary: string;
  readonly arguments?: string;
  readonly uid?: number;
}

export const execIdOf = (host: string, { execNs, pid }: Pick<ProcessInit, 'execNs' | 'pid'>): string =>
  Buffer.from(`${host}:${execNs}:${pid}`).toString('base64');

const about = (host: string, init: ProcessInit) => ({
  execId: execIdOf(host, init),
  pid: init.pid,
  uid: init.uid ?? 0,
  binary: init.binary,
  arguments: init.arguments ?? '',
  cwd: '/',
  flags: 'execve clone',
  parentExecId: init.parent ? execIdOf(host, init.parent) : '',
});

const numbers = (init: ProcessInit, timeMs: number) => ({
  timeNs: BigInt(timeMs) * 1_000_000n,
  execNs: BigInt(init.execNs),
  pid: init.pid,
  parentExecNs: BigInt(init.parent?.execNs ?? 0),
  parentPid: init.parent?.pid ?? 0,
});

export const execEvent = (host: string, init: ProcessInit, more: EventInit = {}, timeMs = Date.now()): EventInit => ({
  ...numbers(init, timeMs),
  kind: Kind.EXEC,
  event: { event: { case: 'processExec', value: { process: about(host, init) } } },
  ...more,
});

export const exitEvent = (
  host: string,
  init: ProcessInit,
  end: { readonly signal?: string; readonly status?: number } = {},
  timeMs = Date.now(),
): EventInit => ({
  ...numbers(init, timeMs),
  kind: Kind.EXIT,
  event: { event: { case: 'processExit', value: { process: about(host, init), ...end } } },
});

export const processBatch = (
  firstSeq: number,
  events: readonly EventInit[],
  more: MessageInitShape<typeof ProcessBatchSchema> = {},
): Uint8Array =>
  toBinary(
    ProcessBatchSchema,
    create(ProcessBatchSchema, { boot: BigInt(BOOT), firstSeq: BigInt(firstSeq), events: [...events], ...more }),
  );

export const sendProcesses = async (
  { bus }: TestService,
  host: string,
  firstSeq: number,
  bytes: Uint8Array,
  boot = BOOT,
): Promise<void> => {
  const id = eventMessageId(host, BigInt(boot), BigInt(firstSeq), 'process');
  await publishEvents(bus.js, subjects.evtProcess.build({ host }), bytes, id);
};

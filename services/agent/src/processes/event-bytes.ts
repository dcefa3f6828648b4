// SPDX-License-Identifier: Apache-2.0
/**
 * Encoded weir.process.v1.ProcessEvents. A process is encoded once for all events that name it; what only the begin of
 * an image tells is put behind that (fields of one message may come in pieces). Compared with the generated codec by test.
 */
import { isUtf8 } from 'node:buffer';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { weir_process_flags } from '@weir/bpf';
import type { ProcessKind, ProcessRecord } from '@weir/bpf/process-events';
import { EnvVarSchema, ProcessSchema } from '@weir/proto/tetragon/tetragon_pb.js';
import { Kind } from '@weir/proto/weir/process/v1/process_pb.js';
import type { KnownProcess } from './cache.ts';
import { type HostNamespaces, imageFacts } from './image-facts.ts';
import { signalName } from './signals.ts';

const {
  PROCESS_CLONE,
  PROCESS_OLD,
  PROCESS_BINARY_CUT,
  PROCESS_CWD_CUT,
  PROCESS_ARGS_CUT,
  PROCESS_ARGS_FAILED,
  PROCESS_ENV_FAILED,
  PROCESS_ROOT_CWD,
  PROCESS_NO_CWD,
} = weir_process_flags;

const FLAG_WORDS = [
  [PROCESS_ARGS_CUT, 'truncArgs'],
  [PROCESS_BINARY_CUT, 'truncFilename'],
  [PROCESS_ARGS_FAILED, 'errorArgs'],
  [PROCESS_ENV_FAILED, 'errorEnvs'],
  [PROCESS_NO_CWD, 'nocwd'],
  [PROCESS_ROOT_CWD, 'rootcwd'],
  [PROCESS_CWD_CUT, 'errorPathResolutionCwd'],
] as const;

const KINDS: Readonly<Record<ProcessKind, Kind>> = {
  exec: Kind.EXEC,
  fork: Kind.FORK,
  exit: Kind.EXIT,
  seen: Kind.SEEN,
};

/** Numbers of fields. */
const EVENT = {
  TIME_NS: 1,
  KIND: 2,
  EXEC_NS: 3,
  PID: 4,
  PARENT_EXEC_NS: 5,
  PARENT_PID: 6,
  WORKLOAD: 7,
  UNIT_KIND: 8,
  UNIT: 9,
  CGROUP: 10,
  RAW_ARGUMENTS: 11,
  EVENT: 13,
  OWN_PID: 14,
} as const;
const RESPONSE = { PROCESS_EXEC: 1, PROCESS_EXIT: 5 } as const;
const ABOUT = { PROCESS: 1, PARENT: 2, SIGNAL: 3, STATUS: 4 } as const;

const CONTAINER_DIGITS = 15;
/** Of arguments and of environment in one event: a batch must fit what the bus takes in one message. */
export const EVENT_TEXT_MAX = 128 << 10;

export const words = (bytes: Buffer): string[] => {
  if (bytes.length === 0) return [];
  const whole = bytes.toString('utf8');
  return (whole.endsWith('\0') ? whole.slice(0, -1) : whole).split('\0');
};

/** As clients of Tetragon know them: behind the first, and in quotation marks when there is a space in one. */
export const argumentText = (args: Buffer): string =>
  words(args)
    .slice(1)
    .map((word) => (word.includes(' ') ? `"${word}"` : word))
    .join(' ');

const flagText = ({ facts: { flags }, wasForked, isMissing }: KnownProcess, isCut: boolean): string => {
  const begin = flags & PROCESS_OLD ? ['procFS'] : flags & PROCESS_CLONE ? [] : ['execve'];
  const clone = flags & PROCESS_CLONE || wasForked ? ['clone'] : [];
  const miss = isMissing ? ['miss'] : [];
  const more = FLAG_WORDS.filter(([bit, word]) => flags & bit || (isCut && word === 'truncArgs')).map(
    ([, word]) => word,
  );
  return [...begin, ...clone, ...miss, ...more].join(' ');
};

/** Of an image: without what only its begin tells. `args` are bounded. */
const encodeProcess = (known: KnownProcess, args: Buffer, isCut: boolean): Uint8Array => {
  const { facts, unit } = known;
  return toBinary(
    ProcessSchema,
    create(ProcessSchema, {
      execId: known.execId,
      pid: known.pid,
      uid: facts.euid,
      cwd: known.cwd.toString('utf8'),
      binary: known.binary.toString('utf8'),
      arguments: argumentText(args),
      flags: flagText(known, isCut),
      startTime: timestampFromMs(known.startMs),
      auid: facts.auid,
      docker: unit?.kind === 'container' ? unit.name.slice(0, CONTAINER_DIGITS) : '',
      parentExecId: known.parentExecId,
      tid: facts.tid || known.pid,
    }),
  );
};

const field = (writer: BinaryWriter, number: number, bytes: Uint8Array): BinaryWriter =>
  writer.tag(number, WireType.LengthDelimited).bytes(bytes);

const text = (writer: BinaryWriter, number: number, value: string): void => {
  if (value !== '') writer.tag(number, WireType.LengthDelimited).string(value);
};

const number64 = (writer: BinaryWriter, at: number, value: bigint): void => {
  if (value !== 0n) writer.tag(at, WireType.Varint).uint64(value);
};

const number32 = (writer: BinaryWriter, at: number, value: number): void => {
  if (value !== 0) writer.tag(at, WireType.Varint).uint32(value);
};

export class ProcessEventBytes {
  readonly #encoded = new WeakMap<KnownProcess, Uint8Array>();
  readonly #namespaces: HostNamespaces;

  constructor(namespaces: HostNamespaces) {
    this.#namespaces = namespaces;
  }

  /** `before`: the parent, when it is known; `isInInitTree`: undefined outside of containers. */
  encode(
    record: Pick<ProcessRecord, 'kind' | 'args' | 'env'>,
    known: KnownProcess,
    parent: KnownProcess | undefined,
    timeNs: bigint,
    isInInitTree: boolean | undefined,
  ): Uint8Array {
    const args =
      record.kind === 'exec' || record.kind === 'seen' ? record.args.subarray(0, EVENT_TEXT_MAX) : known.args;
    const about = new BinaryWriter();
    field(about, ABOUT.PROCESS, this.#process(record, known, args, isInInitTree));
    if (parent) field(about, ABOUT.PARENT, this.#short(parent));
    if (record.kind === 'exit' && known.exit) {
      text(about, ABOUT.SIGNAL, signalName(known.exit.signal));
      number32(about, ABOUT.STATUS, known.exit.status);
    }
    const response = field(
      new BinaryWriter(),
      record.kind === 'exit' ? RESPONSE.PROCESS_EXIT : RESPONSE.PROCESS_EXEC,
      about.finish(),
    );
    const event = new BinaryWriter();
    event.tag(EVENT.TIME_NS, WireType.Bit64).fixed64(timeNs);
    event.tag(EVENT.KIND, WireType.Varint).uint32(KINDS[record.kind]);
    const { facts } = known;
    number64(event, EVENT.EXEC_NS, facts.exec_ns);
    number32(event, EVENT.PID, facts.pid);
    number64(event, EVENT.PARENT_EXEC_NS, facts.parent_exec_ns);
    number32(event, EVENT.PARENT_PID, facts.parent_pid);
    text(event, EVENT.WORKLOAD, known.workload ?? '');
    text(event, EVENT.UNIT_KIND, known.unit?.kind ?? '');
    text(event, EVENT.UNIT, known.unit?.name ?? '');
    text(event, EVENT.CGROUP, known.cgroupPath);
    if (!isUtf8(args)) field(event, EVENT.RAW_ARGUMENTS, args);
    field(event, EVENT.EVENT, response.finish());
    number32(event, EVENT.OWN_PID, known.ownPid);
    return event.finish();
  }

  #short(known: KnownProcess): Uint8Array {
    let bytes = this.#encoded.get(known);
    if (!bytes) {
      bytes = encodeProcess(known, known.args, false);
      this.#encoded.set(known, bytes);
    }
    return bytes;
  }

  #process(
    { kind, args: whole, env }: Pick<ProcessRecord, 'kind' | 'args' | 'env'>,
    known: KnownProcess,
    args: Buffer,
    isInInitTree: boolean | undefined,
  ): Uint8Array {
    if (kind !== 'exec' && kind !== 'seen') return this.#short(known);
    const isWhole = args.length <= known.args.length;
    const short = isWhole ? this.#short(known) : encodeProcess(known, args, args.length < whole.length);
    const more = toBinary(
      ProcessSchema,
      create(ProcessSchema, {
        ...imageFacts(known.facts, this.#namespaces),
        environmentVariables: words(env.subarray(0, EVENT_TEXT_MAX)).map((word) => {
          const at = word.indexOf('=');
          const key = at < 0 ? word : word.slice(0, at);
          return create(EnvVarSchema, { key, value: at < 0 ? '' : word.slice(at + 1) });
        }),
        ...(isInInitTree === undefined ? {} : { inInitTree: isInInitTree }),
      }),
    );
    return Buffer.concat([short, more]);
  }
}

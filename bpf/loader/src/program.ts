// SPDX-License-Identifier: Apache-2.0
/** One loaded program, and running it once on bytes of our choice (BPF_PROG_TEST_RUN). */
import { attempt, attemptAsync } from './errors.ts';
import { PROGRAM_TYPE, PROGRAM_TYPE_NAME } from './kinds.ts';
import { type Handle, type NativeProgramFacts, native, type TestRunResult } from './native.ts';

/** What a program that adds headers may put in front, so that dataOut fits. */
const HEADROOM_BYTES = 512;

/** The kernel refused a packet before the program saw it (EINVAL: shorter than its headers promise). */
export const TEST_RUN_REFUSED = 0xffffffff;

export interface TestRunOptions {
  /** The packet, from the Ethernet header; at least 14 bytes for skb and XDP programs. */
  readonly data?: Uint8Array;
  /** struct __sk_buff, struct xdp_md or a syscall program's argument; see skbContext. */
  readonly ctx?: Uint8Array;
  readonly repeat?: number;
  /** Room for the packet that comes out; the packet in plus 512 bytes unless told. */
  readonly dataSizeOut?: number;
  readonly flags?: number;
  readonly cpu?: number;
  readonly batchSize?: number;
  /** Path of the network namespace in which the context's ifindex is meant. */
  readonly netns?: string;
}

export class BpfProgram {
  readonly name: string;
  /** ELF section, e.g. `tc`, `tp_btf/sched_process_exec`; empty when opened by path. */
  readonly section: string;
  readonly type: number;
  readonly id: number;
  readonly fd: number;
  readonly tag: string;
  /** Instructions after the verifier's rewrites. */
  readonly instructions: number;
  /** @internal */
  readonly handle: Handle;

  /** @internal */
  constructor(facts: NativeProgramFacts) {
    this.name = facts.name;
    this.section = facts.section;
    this.type = facts.type;
    this.id = facts.id;
    this.fd = facts.fd;
    this.tag = facts.tag;
    this.instructions = facts.instructions;
    this.handle = facts.handle;
  }

  get typeName(): string {
    return PROGRAM_TYPE_NAME[this.type] ?? `type ${this.type}`;
  }

  /** dataOut is the packet after the program, ctxOut the context as the program left it. */
  testRun(options: TestRunOptions = {}): Promise<TestRunResult> {
    const { data, ctx, repeat, flags, cpu, batchSize, netns } = options;
    const takesPacket = data !== undefined && this.type !== PROGRAM_TYPE.SYSCALL;
    const dataSizeOut = options.dataSizeOut ?? (takesPacket && !flags ? data.byteLength + HEADROOM_BYTES : 0);
    return attemptAsync(`program '${this.name}'`, () =>
      native().programTestRun(this.handle, { data, ctx, repeat, dataSizeOut, flags, cpu, batchSize, netns }),
    );
  }

  /**
   * One run for each of many packets, without coming back between them: packet `i` ends before byte `ends[i]` of `data`.
   * Returns what the program returned for each; TEST_RUN_REFUSED where the kernel itself did not take the packet.
   */
  async testRuns(data: Uint8Array, ends: ArrayLike<number>, ctx?: Uint8Array): Promise<number[]> {
    const returned = await attemptAsync(`program '${this.name}'`, () =>
      native().programTestRuns(this.handle, data, Uint32Array.from(ends), ctx),
    );
    return Array.from(ends, (_, at) => returned.readUInt32LE(at * 4));
  }

  pin(path: string): void {
    attempt(`program '${this.name}'`, () => native().pin(this.handle, path));
  }

  get closed(): boolean {
    return !native().isOpen(this.handle);
  }

  close(): void {
    native().close(this.handle);
  }
}

export const openPinnedProgram = (path: string): BpfProgram =>
  new BpfProgram(attempt(path, () => native().programByPath(path)));

// SPDX-License-Identifier: Apache-2.0
/**
 * What is known of processes that flows name, as it stands in their batch. The kernel remembers whoever had a socket for a
 * while after it has ended, so this never waits for anybody.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { owner, process_name, process as processStruct, weir_process_limits } from '@weir/bpf';
import { type BpfMap, openPinnedMap } from '@weir/loader';
import { FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { Cgroups } from '../../processes/cgroups.ts';
import { unitOf } from '../../processes/units.ts';

const NAMED = 'socket_processes';
/** As many as the kernel remembers at a time, about. */
const KNOWN_MAX = 8_192;

export class FlowProcesses {
  readonly #pin: string;
  readonly #cgroups: Cgroups;
  readonly #known = new Map<string, Uint8Array>();
  #map: BpfMap | undefined;

  constructor(bpffsDir: string, cgroupRoot: string | undefined) {
    this.#pin = join(bpffsDir, NAMED);
    this.#cgroups = new Cgroups(cgroupRoot);
  }

  /** Takes struct owner, one after the other; gives the field `processes` of weir.flow.v1.FlowBatch. */
  encode(names: Buffer): Buffer {
    const parts: Uint8Array[] = [];
    for (let at = 0; at + owner.size <= names.length; at += owner.size) {
      const name = names.subarray(at, at + owner.size);
      const key = name.toString('latin1');
      const part = this.#known.get(key) ?? this.#read(name);
      this.#known.delete(key);
      this.#known.set(key, part);
      parts.push(part);
    }
    for (const [oldest] of this.#known) {
      if (this.#known.size <= KNOWN_MAX) break;
      this.#known.delete(oldest);
    }
    return Buffer.concat(parts);
  }

  #read(name: Buffer): Uint8Array {
    if (!this.#map && existsSync(this.#pin)) this.#map = openPinnedMap(this.#pin);
    const { exec_ns: execNs, pid, uid } = owner.decode(name);
    const value = this.#map?.lookup(process_name.encode({ exec_ns: execNs, pid }));
    // Numbers alone, of one that the kernel has forgotten.
    if (!value) return toBinary(FlowBatchSchema, create(FlowBatchSchema, { processes: [{ execNs, pid, uid }] }));
    const { binary, binary_length, cgroup_id } = processStruct.decode(value);
    const unit = unitOf(this.#cgroups.pathOf(cgroup_id));
    const length = Math.min(binary_length, weir_process_limits.WEIR_BINARY_BYTES - 1);
    const one = {
      ...{ execNs, pid, uid, binary: new Uint8Array(binary).subarray(0, length) },
      ...{ unit: unit?.name ?? '', unitKind: unit?.kind ?? '' },
    };
    return toBinary(FlowBatchSchema, create(FlowBatchSchema, { processes: [one] }));
  }

  close(): void {
    this.#map?.close();
  }
}

// SPDX-License-Identifier: Apache-2.0
/**
 * Runtime policies in the kernel: hooks in maps, and programs where system calls begin and return. All of it is pinned and
 * outlives the agent. What is new stands before what is old goes, so that a call never meets less than before and after:
 * tables, hook, its bit at each site, programs; then bits, hooks and tables that nobody wants any more.
 */
import { existsSync } from 'node:fs';
import { readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runtime_count, runtime_hook, runtime_site, weir_runtime_hook_flags, weir_runtime_limits } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { type BpfObject, cgroup2Mount, openObject, type Ring, ringBuffer } from '@weir/loader';
import { NAMESPACES } from '@weir/runtime-engine';
import { decodeCalls } from '../../runtime/events.ts';
import type {
  RuntimeCount,
  RuntimeListener,
  RuntimePort,
  RuntimeReport,
  RuntimeWorkload,
  SelectedPolicy,
} from '../../runtime/port.ts';
import { HeldPrograms } from './held-programs.ts';
import { agentLimits } from './processes.ts';
import { type LoadedPolicy, loadPolicy } from './runtime-load.ts';
import { RuntimeTables } from './runtime-tables.ts';

export interface KernelRuntimeOptions {
  readonly bpffsDir: string;
  /** cgroup v2 folder: only processes below it; all of the machine unless given. */
  readonly cgroup?: string;
}

const { RUNTIME_WORDS, RUNTIME_SELECTORS } = weir_runtime_limits;
const LINKS = 'runtime-links';
const ENTER = 'runtime_enter';
const RETURN = 'runtime_return';
/** `processes` is taken by its pin. */
const PINS = [
  'runtime_sites',
  'runtime_hooks',
  'runtime_texts',
  'runtime_ranges',
  'runtime_prefixes',
  'runtime_members',
  'runtime_counts',
  'runtime_events',
  'runtime_pendings',
  'runtime_posted',
];

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};

/** Of the namespaces that the kernel begins with (include/uapi/linux/nsfs.h); an agent in a container has others. */
const FIRST: Readonly<Partial<Record<(typeof NAMESPACES)[number], number>>> = {
  Uts: 0xeffffffe,
  Ipc: 0xefffffff,
  Pid: 0xeffffffc,
  PidForChildren: 0xeffffffc,
  Time: 0xeffffffa,
  TimeForChildren: 0xeffffffa,
  Cgroup: 0xeffffffb,
  User: 0xeffffffd,
};

/** Of the network: that of the agent, which is the host's. Of mounts: that of the first process, as far as it may be asked. */
const hostNamespaces = async (): Promise<Buffer> => {
  const read = async (path: string): Promise<number | undefined> => {
    const text = await readlink(path).catch(() => '');
    return text === '' ? undefined : Number(/\[(\d+)\]/.exec(text)?.[1]);
  };
  const out = Buffer.alloc(NAMESPACES.length * 4);
  for (const [at, name] of NAMESPACES.entries()) {
    const own = name === 'Mnt' ? await read('/proc/1/ns/mnt') : undefined;
    out.writeUInt32LE(FIRST[name] ?? own ?? (await read(`/proc/self/ns/${name.toLowerCase()}`)) ?? 0, at * 4);
  }
  return out;
};

const bitsOf = (places: Iterable<number>): bigint[] => {
  const words = Array.from({ length: RUNTIME_WORDS }, () => 0n);
  for (const place of places) words[place >> 6] = (words[place >> 6] as bigint) | (1n << BigInt(place & 63));
  return words;
};

interface Opened {
  readonly object: BpfObject;
  readonly tables: RuntimeTables;
  readonly ring: Ring;
  readonly held: HeldPrograms;
  /** Of earlier agents, until this one's stand. */
  readonly strangers: Map<number, { readonly hook: runtime_hook; readonly held: ReturnType<RuntimeTables['adopt']> }>;
  readonly taken: Set<number>;
}

export class KernelRuntime implements RuntimePort {
  readonly #options: KernelRuntimeOptions;
  readonly #listener: RuntimeListener;
  #opened: Opened | undefined;
  #serial = 1;
  /** By the subject of their document. */
  readonly #loaded = new Map<string, LoadedPolicy>();

  constructor(options: KernelRuntimeOptions, listener: RuntimeListener) {
    this.#options = options;
    this.#listener = listener;
  }

  async apply(
    policies: readonly SelectedPolicy[],
    workloads: readonly RuntimeWorkload[],
  ): Promise<readonly RuntimeReport[]> {
    if (policies.length === 0 && !this.#opened && !existsSync(join(this.#options.bpffsDir, LINKS))) return [];
    if (policies.length === 0) return this.#remove();
    this.#opened ??= await this.#open();
    const opened = this.#opened;
    const wanted = new Set(policies.map(({ subject }) => subject));
    const gone = [...this.#loaded].filter(([subject]) => !wanted.has(subject)).map(([, loaded]) => loaded);
    const reports: RuntimeReport[] = [];
    let isChanged = gone.length > 0 || opened.strangers.size > 0;
    for (const selected of policies) {
      const before = this.#loaded.get(selected.subject);
      if (before?.report.revision !== selected.revision || before.report.key !== selected.policy.key) {
        const loaded = loadPolicy(selected, {
          ...{ object: opened.object, tables: opened.tables, taken: opened.taken },
          serial: () => this.#serial++,
        });
        this.#loaded.set(selected.subject, loaded);
        isChanged = true;
        if (before) gone.push(before);
      }
      reports.push((this.#loaded.get(selected.subject) as LoadedPolicy).report);
    }
    for (const { subject } of gone.map(({ report }) => report)) if (!wanted.has(subject)) this.#loaded.delete(subject);
    const takeAway = await opened.tables.writeMembers(workloads);
    if (isChanged)
      await this.#replace(
        opened,
        gone.flatMap(({ hooks }) => hooks),
      );
    await takeAway();
    return reports;
  }

  async #replace(opened: Opened, stale: LoadedPolicy['hooks']): Promise<void> {
    this.#writeSites([...stale.map(({ place }) => place), ...opened.strangers.keys()]);
    await this.#attach(opened);
    this.#writeSites([]);
    for (const { place, held, sets } of stale) this.#forget(place, held, sets);
    for (const [place, { held }] of opened.strangers) this.#forget(place, held, []);
    opened.strangers.clear();
  }

  #forget(place: number, held: LoadedPolicy['hooks'][number]['held'], sets: readonly number[]): void {
    const { object, tables, taken } = this.#opened as Opened;
    object.map('runtime_hooks').delete(u32(place));
    tables.release(held, sets);
    taken.delete(place);
  }

  /** Bits of what is loaded, and of `others` where they were. */
  #writeSites(others: readonly number[]): void {
    const { object } = this.#opened as Opened;
    const sites = object.map('runtime_sites');
    const wanted = new Map<number, Set<number>>();
    for (const { hooks } of this.#loaded.values())
      for (const { place, sites: own } of hooks)
        for (const site of own.keys()) wanted.set(site, (wanted.get(site) ?? new Set()).add(place));
    const kept = bitsOf(others);
    for (let site = 0; site < sites.maxEntries; site++) {
      const key = u32(site);
      const before = sites.lookup(key) as Buffer;
      const was = runtime_site.decode(before).hooks;
      const own = bitsOf(wanted.get(site) ?? []);
      const hooks = own.map((bits, word) => bits | ((was[word] as bigint) & (kept[word] as bigint)));
      const after = runtime_site.encode({ count: hooks.some((bits) => bits !== 0n) ? 1n : 0n, hooks });
      if (!after.equals(before)) sites.update(key, after);
    }
  }

  async #open(): Promise<Opened> {
    const { bpffsDir, cgroup } = this.#options;
    const object = await openObject(objectPath('runtime'), {
      ...{ pinDir: bpffsDir, pins: [...PINS, 'processes'], replaceIncompatible: true },
      rodata: { ...(await agentLimits(cgroup)), runtime_host_namespaces: await hostNamespaces() },
    });
    const held = new HeldPrograms(object, { bpffsDir, folder: LINKS, maps: PINS });
    try {
      const tables = new RuntimeTables(object, cgroup ?? (await cgroup2Mount()));
      const strangers: Opened['strangers'] = new Map();
      const { keys, values, count } = await object.map('runtime_hooks').lookupAll();
      for (let at = 0; at < count; at++) {
        const hook = runtime_hook.decode(values, at * runtime_hook.size);
        strangers.set(keys.readUInt32LE(at * 4), { hook, held: tables.adopt(hook) });
        this.#serial = Math.max(this.#serial, hook.serial + 1);
      }
      const ring = ringBuffer({
        map: object.map('runtime_events'),
        flow: { boot: 1n, firstSeq: 1n },
        onBatch: () => {},
        onEvents: (raw) => this.#take(raw),
        onError: (error) =>
          this.#listener.onTrouble('calls that runtime policies tell of could not be handed on', error),
      });
      return { object, tables, ring, held, strangers, taken: new Set(strangers.keys()) };
    } catch (error) {
      held.close();
      throw error;
    }
  }

  #take(raw: Buffer): void {
    const bySerial = new Map(
      [...this.#loaded.values()].flatMap((loaded) =>
        loaded.hooks.map((hook) => [hook.serial, { loaded, hook }] as const),
      ),
    );
    const calls = decodeCalls(raw).flatMap((call) => {
      const found = bySerial.get(call.serial);
      if (!found) return []; // of a policy that was replaced
      const { path, message, tags } = found.hook.plan.hook;
      return {
        ...{ ...call, policy: found.loaded.report.key, hook: path, call: found.hook.sites.get(call.site) ?? '' },
        ...(message === undefined ? {} : { message }),
        tags,
      };
    });
    if (calls.length > 0) this.#listener.onCalls(calls);
  }

  async #attach({ object, held }: Opened): Promise<void> {
    const { RUNTIME_HOOK_RETURNS } = weir_runtime_hook_flags;
    const returns = [...this.#loaded.values()].some(({ hooks }) =>
      hooks.some(({ flags }) => flags & RUNTIME_HOOK_RETURNS),
    );
    const any = [...this.#loaded.values()].some(({ hooks }) => hooks.length > 0);
    const wanted = [...(any ? [ENTER] : []), ...(returns ? [RETURN] : [])];
    if (held.isEmpty) await object.commitPins();
    await held.attachTraced(wanted.filter((name) => !held.has(name)));
    for (const name of [ENTER, RETURN].filter((one) => !wanted.includes(one))) await held.detach(name);
  }

  async #remove(): Promise<readonly RuntimeReport[]> {
    await this.stop();
    this.#loaded.clear();
    await removeRuntime(this.#options.bpffsDir);
    return [];
  }

  counts(): readonly RuntimeCount[] {
    const opened = this.#opened;
    if (!opened) return [];
    const map = opened.object.map('runtime_counts');
    return [...this.#loaded.values()].flatMap(({ report, hooks }) =>
      hooks.flatMap(({ place, plan }) => {
        const selectors = plan.selectors.length === 0 ? [-1] : plan.selectors.map((_, at) => at);
        return selectors.map((selector) => {
          const values = map.lookup(u32(place * (RUNTIME_SELECTORS + 1) + selector + 1)) ?? Buffer.alloc(0);
          const label = plan.selectors[selector]?.label;
          const counts: Record<string, bigint> = {};
          for (let at = 0; at < values.length; at += runtime_count.size)
            for (const [name, value] of Object.entries(runtime_count.decode(values, at)))
              counts[name] = (counts[name] ?? 0n) + value;
          return {
            policy: report.key,
            hook: plan.hook.path,
            selector,
            ...(label === undefined ? {} : { label }),
            counts,
          };
        });
      }),
    );
  }

  async inspect(): Promise<readonly string[]> {
    const held = this.#opened?.held;
    return !held || held.isEmpty ? [] : held.repair();
  }

  async stop(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    if (!opened) return;
    await opened.ring.stop();
    opened.held.close();
  }
}

/** Programs and maps of an earlier agent, where no policy is any more. */
export const removeRuntime = async (bpffsDir: string): Promise<void> => {
  for (const name of [LINKS, ...PINS]) await rm(join(bpffsDir, name), { recursive: true, force: true });
};

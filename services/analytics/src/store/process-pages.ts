// SPDX-License-Identifier: Apache-2.0
/** Stored events of processes: pages by keyset, newest or oldest first, and the tree around a process. */
import { weirError } from '@weir/errors';
import { formatTimeUs } from '@weir/net';
import type pg from 'pg';
import type { ExecKey, ProcessFilter, ProcessTerm } from '../domain/process-filter.ts';
import { readProcessEvent, type StoredProcessEvent } from '../domain/process-view.ts';
import type { FlowKey } from './flow-pages.ts';
import type { Hosts } from './hosts.ts';

export type KeyedProcessEvent = StoredProcessEvent & { readonly key: FlowKey };

export interface ProcessPageRequest {
  readonly filter: ProcessFilter;
  readonly sinceUs: number | undefined;
  readonly limit: number;
  readonly order?: 'oldest' | 'newest';
  readonly after?: FlowKey;
}

export interface ProcessPage {
  readonly items: readonly KeyedProcessEvent[];
  readonly next?: FlowKey;
}

/** A process by its first and its last event. */
export interface TreeProcess {
  readonly begin: StoredProcessEvent;
  readonly end: StoredProcessEvent | undefined;
}

export interface ProcessTree {
  readonly process: TreeProcess;
  readonly ancestors: readonly TreeProcess[];
  readonly siblings: readonly TreeProcess[];
  readonly children: readonly TreeProcess[];
}

interface Row {
  readonly us: bigint;
  readonly host_id: number;
  readonly boot: bigint;
  readonly seq: bigint;
  readonly event: Buffer;
}

const KEY = '(time, host_id, boot, seq)';
const COLUMNS = '(extract(epoch from time) * 1000000)::int8 as us, host_id, boot, seq, event';
const FIELDS = {
  ...{ kind: 'kind', pid: 'pid', uid: 'uid', verdict: 'verdict' },
  ...{ binary: 'binary_path', arguments: 'arguments', workload: 'workload', unit: 'unit', policy: 'policy' },
} as const;
const ANCESTORS_MAX = 64;
const RELATIVES_MAX = 1_000;
const EXIT = 3;
const FORK = 2;
const HOOK = 5;

/** Text of a query with the values that it refers to. */
class Query {
  readonly values: unknown[] = [];

  value(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

export class ProcessPages {
  readonly #pool: pg.Pool;
  readonly #hosts: Hosts;

  constructor(pool: pg.Pool, hosts: Hosts) {
    this.#pool = pool;
    this.#hosts = hosts;
  }

  async page({ filter, sinceUs, limit, order = 'newest', after }: ProcessPageRequest): Promise<ProcessPage> {
    const query = new Query();
    const where = ['true'];
    if (sinceUs !== undefined) where.push(`time >= ${query.value(formatTimeUs(sinceUs))}::timestamptz`);
    if (filter.untilUs !== undefined) where.push(`time < ${query.value(formatTimeUs(filter.untilUs))}::timestamptz`);
    for (const term of filter.terms) where.push(await this.#where(query, term));
    if (after) {
      const place = [formatTimeUs(after.timeUs), after.hostId, after.boot, after.seq];
      const types = ['timestamptz', 'int4', 'int8', 'int8'];
      const key = place.map((value, at) => `${query.value(value)}::${types[at]}`).join(', ');
      where.push(`${KEY} ${order === 'newest' ? '<' : '>'} (${key})`);
    }
    const direction = order === 'newest' ? 'desc' : 'asc';
    const { rows } = await this.#pool.query<Row>(
      `select ${COLUMNS} from process_events where ${where.join(' and ')}
        order by time ${direction}, host_id ${direction}, boot ${direction}, seq ${direction}
        limit ${query.value(limit + 1)}`,
      query.values,
    );
    const items = await this.#read(rows.slice(0, limit));
    const last = items.at(-1);
    return { items, ...(rows.length > limit && last ? { next: last.key } : {}) };
  }

  async keptFromUs(): Promise<number | undefined> {
    const { rows } = await this.#pool.query<{ us: bigint }>(
      'select (extract(epoch from time) * 1000000)::int8 as us from process_events order by time limit 1',
    );
    return rows[0] && Number(rows[0].us);
  }

  async #where(query: Query, term: ProcessTerm): Promise<string> {
    if (term.kind === 'host') return `host_id = any(${query.value(await this.#hosts.known(term.names))}::int4[])`;
    if (term.kind === 'number') return `${FIELDS[term.field]} = any(${query.value(term.values)}::int8[])`;
    if (term.kind === 'text') return `${FIELDS[term.field]} like any(${query.value(term.patterns)}::text[])`;
    const [ns, pid] = term.of === 'process' ? ['exec_ns', 'pid'] : ['parent_exec_ns', 'parent_pid'];
    const found: string[] = [];
    for (const key of term.keys) {
      const [hostId] = await this.#hosts.known([key.host]);
      if (hostId === undefined) continue;
      found.push(
        `(host_id = ${query.value(hostId)} and ${ns} = ${query.value(key.execNs)} and ${pid} = ${query.value(key.pid)})`,
      );
    }
    return found.length === 0 ? 'false' : `(${found.join(' or ')})`;
  }

  async #read(rows: readonly Row[]): Promise<KeyedProcessEvent[]> {
    const names = await this.#hosts.namesOf(rows.map(({ host_id }) => host_id));
    return rows.map(({ us, host_id: hostId, boot, seq, event }) => {
      const host = names.get(hostId) ?? '';
      const key = { timeUs: Number(us), hostId, boot: Number(boot), seq: Number(seq) };
      return { ...key, host, key, event: readProcessEvent(host, event) };
    });
  }

  /** Throws NOT_FOUND. */
  async tree(key: ExecKey, text: string): Promise<ProcessTree> {
    const [hostId] = await this.#hosts.known([key.host]);
    const process = hostId === undefined ? undefined : await this.#one(hostId, key.execNs, key.pid);
    if (hostId === undefined || process === undefined) {
      throw weirError('NOT_FOUND', `no process ${JSON.stringify(text)} is stored`, {
        field: 'exec_id',
        value: text,
        fix: 'take an exec_id of GET /v1/processes/events; events are kept for as long as the service is told',
      });
    }
    const parentOf = ({ begin: { event } }: TreeProcess) => [event.parentExecNs, event.parentPid] as const;
    const ancestors: TreeProcess[] = [];
    const seen = new Set([`${key.execNs}:${key.pid}`]);
    let [ns, pid] = parentOf(process);
    while (ns !== 0n && !seen.has(`${ns}:${pid}`) && ancestors.length < ANCESTORS_MAX) {
      seen.add(`${ns}:${pid}`);
      const next = await this.#one(hostId, ns, pid);
      if (!next) break;
      ancestors.push(next);
      [ns, pid] = parentOf(next);
    }
    const [parentNs, parentPid] = parentOf(process);
    const beside = parentNs === 0n ? [] : await this.#childrenOf(hostId, parentNs, parentPid);
    const siblings = beside.filter(({ begin: { event } }) => event.execNs !== key.execNs || event.pid !== key.pid);
    return { process, ancestors, siblings, children: await this.#childrenOf(hostId, key.execNs, key.pid) };
  }

  async #one(hostId: number, execNs: bigint, pid: number): Promise<TreeProcess | undefined> {
    const { rows } = await this.#pool.query<Row>(
      `(select ${COLUMNS} from process_events
         where host_id = $1 and exec_ns = $2 and pid = $3 and kind not in (${EXIT}, ${HOOK}) order by time limit 1)
       union all
       (select ${COLUMNS} from process_events
         where host_id = $1 and exec_ns = $2 and pid = $3 and kind = ${EXIT} order by time limit 1)`,
      [hostId, execNs, pid],
    );
    return treeProcess(await this.#read(rows));
  }

  /** Each by its last image; oldest first. */
  async #childrenOf(hostId: number, execNs: bigint, pid: number): Promise<TreeProcess[]> {
    const { rows } = await this.#pool.query<Row>(
      `select ${COLUMNS} from process_events
        where host_id = $1 and parent_exec_ns = $2 and parent_pid = $3 and kind <> ${HOOK}
        order by time, boot, seq limit ${4 * RELATIVES_MAX}`,
      [hostId, execNs, pid],
    );
    const byImage = new Map<string, StoredProcessEvent[]>();
    for (const one of await this.#read(rows)) {
      const key = `${one.event.execNs}:${one.event.pid}`;
      byImage.set(key, [...(byImage.get(key) ?? []), one]);
    }
    const found = [...byImage.values()].map(treeProcess).filter((one) => one !== undefined);
    // What it was forked as is no child of its own once the same process has begun an image.
    const images = new Set(found.filter(({ begin }) => begin.event.kind !== FORK).map(({ begin }) => begin.event.pid));
    return found
      .filter(({ begin, end }) => begin.event.kind !== FORK || end || !images.has(begin.event.pid))
      .slice(0, RELATIVES_MAX);
  }
}

/** Of the events of one image; its end alone is better than nothing. */
const treeProcess = (events: readonly StoredProcessEvent[]): TreeProcess | undefined => {
  const end = events.find(({ event }) => event.kind === EXIT);
  const begin = events.find(({ event }) => event.kind !== EXIT) ?? end;
  return begin && { begin, end };
};

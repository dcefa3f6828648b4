// SPDX-License-Identifier: Apache-2.0
/**
 * Makes the maps of load balancing hold what the planner says. Between any two writes every slot that a frontend counts
 * names a backend that is known and that was right before the change, or is after it:
 *
 *   1 backends     new ones, and who may stay with them; ranges of clients
 *   2 slots        in place, and those that are not counted yet; Maglev tables, whole
 *   3 frontends    new counts; of two scopes the inner one first
 *   4 frontends    that are gone; of two scopes the inner one last
 *   5 slots, tables, members, backends, ranges that nothing names any more
 *
 * Sockets that are connected to a backend that left its service are closed last: who connects again finds another. Programs stand in sockets' way when the maps are right for the first time. Killed at any point, the next start reads
 * what is there and goes on.
 */

import type { BackendValue, FrontendValue, PlannedFrontend, PlannedMaglev } from '../plan/service-view.ts';
import type { DesiredServices, NodePorts, ServiceChanges } from '../plan/services.ts';
import { MaglevTables } from './maglev-tables.ts';
import type { Place, Services } from './ports.ts';

export interface HeldServices {
  readonly frontends: Map<string, PlannedFrontend>;
  /** Table -> backend by slot. */
  readonly slots: Map<number, number[]>;
  /** Table -> backend -> its weight. */
  readonly members: Map<number, Map<number, number>>;
  readonly backends: Map<number, BackendValue>;
  /** Tables of `maglev_tables`. */
  readonly maglev: Set<number>;
  readonly nodeAddresses: Set<string>;
  /** By `rangeText`. */
  readonly ranges: Set<string>;
  /** Base64; undefined: not written yet. */
  seed: string | undefined;
  /** As text; undefined: not written yet. */
  sources: string | undefined;
  nodePorts: NodePorts | undefined;
}

const sameFrontend = (a: FrontendValue, b: FrontendValue): boolean =>
  a.frontend === b.frontend &&
  a.service === b.service &&
  a.flags === b.flags &&
  a.table === b.table &&
  a.active === b.active &&
  a.terminating === b.terminating &&
  a.affinityS === b.affinityS &&
  a.maglev === b.maglev;

const sameBackend = (a: BackendValue, b: BackendValue): boolean =>
  a.address === b.address && a.port === b.port && a.protocol === b.protocol && a.flags === b.flags && a.host === b.host;

const everything = (desired: DesiredServices, held: HeldServices): ServiceChanges => ({
  frontends: new Set([...desired.frontends.keys(), ...held.frontends.keys()]),
  tables: new Set([...desired.tables.keys(), ...held.slots.keys(), ...held.members.keys(), ...held.maglev]),
  backends: new Set([...desired.backends.keys(), ...held.backends.keys()]),
  ranges: new Set([...desired.ranges, ...held.ranges]),
  isLess: true,
});

const innerFirst = (a: PlannedFrontend, b: PlannedFrontend): number => Number(b.key.internal) - Number(a.key.internal);

const NONE: ReadonlyMap<number, number> = new Map();

export class ServicesApplier {
  readonly #port: Services;
  readonly #maglev: MaglevTables;
  #held: HeldServices | undefined;

  constructor(port: Services, nowMs: () => number = () => Number(process.hrtime.bigint() / 1_000_000n)) {
    this.#port = port;
    this.#maglev = new MaglevTables(port, nowMs);
  }

  /** Nothing that is remembered counts. */
  doubt(): void {
    this.#held = undefined;
  }

  /** `places`: of this host's workloads. Returns what was not possible. */
  async apply(
    desired: DesiredServices | undefined,
    places: () => readonly Place[] = () => [],
  ): Promise<readonly string[]> {
    if (!desired) {
      this.#held = undefined;
      await this.#port.end();
      return [];
    }
    const taken = desired.take();
    const known = this.#held;
    // Set again when all is written: a failure in between leaves nothing to go by.
    this.#held = undefined;
    const held = known ?? (await this.#port.read());
    const changes = known ? taken : everything(desired, held);
    await this.#settings(desired, held);
    await this.#write(desired, held, changes);
    const here = places();
    await this.#port.writePlaces(here);
    const failure = await this.#port.attach();
    const netns = here.map((place) => place.netns);
    if (changes.isLess) await this.#port.closeSockets(netns, desired.isServing);
    this.#held = held;
    return failure === undefined ? [] : [failure];
  }

  async #settings({ nodePorts, nodeAddresses, seed, sources }: DesiredServices, held: HeldServices): Promise<void> {
    const added = [...nodeAddresses].filter((address) => !held.nodeAddresses.has(address));
    await this.#port.writeNodeAddresses(added);
    for (const address of added) held.nodeAddresses.add(address);
    const text = Buffer.from(seed).toString('base64');
    const isSame =
      held.nodePorts?.low === nodePorts.low &&
      held.nodePorts.high === nodePorts.high &&
      held.seed === text &&
      held.sources === JSON.stringify(sources);
    if (!isSame) {
      await this.#port.writeSettings(nodePorts, seed, sources);
      held.nodePorts = nodePorts;
      held.seed = text;
      held.sources = JSON.stringify(sources);
    }
    const gone = [...held.nodeAddresses].filter((address) => !nodeAddresses.has(address));
    await this.#port.removeNodeAddresses(gone);
    for (const address of gone) held.nodeAddresses.delete(address);
  }

  async #write(desired: DesiredServices, held: HeldServices, changes: ServiceChanges): Promise<void> {
    await this.#putBackends(desired, held, changes);
    const [put, left] = slotChanges(desired, held, changes);
    await this.#port.writeSlots(put);
    await this.#putMaglev(desired, held, changes);
    const ranges = [...changes.ranges].filter((range) => desired.ranges.has(range) && !held.ranges.has(range));
    await this.#port.writeRanges(ranges);
    for (const range of ranges) held.ranges.add(range);
    await this.#putFrontends(desired, held, changes);
    await this.#removeFrontends(desired, held, changes);
    await this.#port.removeSlots(left);
    const past = [...changes.ranges].filter((range) => held.ranges.has(range) && !desired.ranges.has(range));
    await this.#port.removeRanges(past);
    for (const range of past) held.ranges.delete(range);
    const unused = [...changes.tables].filter((table) => held.maglev.has(table) && !desired.tables.get(table)?.maglev);
    await this.#maglev.remove(unused);
    for (const table of unused) held.maglev.delete(table);
    for (const table of changes.tables) {
      const wanted = desired.tables.get(table)?.backends;
      if (wanted) held.slots.set(table, [...wanted]);
      else held.slots.delete(table);
    }
    await this.#removeMembers(desired, held, changes);
    const gone = [...changes.backends].filter((number) => held.backends.has(number) && !desired.backends.has(number));
    await this.#port.removeBackends(gone);
    for (const number of gone) held.backends.delete(number);
  }

  async #putMaglev({ tables, seed }: DesiredServices, held: HeldServices, changes: ServiceChanges): Promise<void> {
    const wanted = new Map<number, PlannedMaglev>();
    for (const table of changes.tables) {
      const maglev = tables.get(table)?.maglev;
      if (maglev) wanted.set(table, maglev);
    }
    for (const table of await this.#maglev.put(wanted, held.maglev, seed)) held.maglev.add(table);
  }

  async #putBackends(desired: DesiredServices, held: HeldServices, changes: ServiceChanges): Promise<void> {
    const puts: [number, BackendValue][] = [];
    for (const number of changes.backends) {
      const [wanted, had] = [desired.backends.get(number), held.backends.get(number)];
      if (wanted && !(had && sameBackend(wanted, had))) puts.push([number, wanted]);
    }
    await this.#port.writeBackends(puts);
    for (const [number, value] of puts) held.backends.set(number, value);
    const members: [number, number, number][] = [];
    for (const table of changes.tables) {
      const had = held.members.get(table) ?? NONE;
      for (const [backend, weight] of membersOf(desired, table))
        if (had.get(backend) !== weight) members.push([table, backend, weight]);
    }
    await this.#port.writeMembers(members);
    for (const [table, backend, weight] of members)
      held.members.set(table, (held.members.get(table) ?? new Map<number, number>()).set(backend, weight));
  }

  async #putFrontends(desired: DesiredServices, held: HeldServices, changes: ServiceChanges): Promise<void> {
    const puts: PlannedFrontend[] = [];
    for (const text of changes.frontends) {
      const [wanted, had] = [desired.frontends.get(text), held.frontends.get(text)];
      if (!wanted || (had && sameFrontend(wanted.value, had.value))) continue;
      puts.push(wanted);
      held.frontends.set(text, wanted);
    }
    await this.#port.writeFrontends(puts.sort(innerFirst));
  }

  async #removeFrontends(desired: DesiredServices, held: HeldServices, changes: ServiceChanges): Promise<void> {
    const gone: PlannedFrontend[] = [];
    for (const text of changes.frontends) {
      const had = held.frontends.get(text);
      if (!had || desired.frontends.has(text)) continue;
      gone.push(had);
      held.frontends.delete(text);
    }
    await this.#port.removeFrontends(
      gone
        .sort(innerFirst)
        .reverse()
        .map(({ key }) => key),
    );
  }

  async #removeMembers(desired: DesiredServices, held: HeldServices, changes: ServiceChanges): Promise<void> {
    const gone: [number, number][] = [];
    for (const table of changes.tables) {
      const wanted = membersOf(desired, table);
      for (const backend of held.members.get(table)?.keys() ?? [])
        if (!wanted.has(backend)) gone.push([table, backend]);
    }
    await this.#port.removeMembers(gone);
    for (const [table, backend] of gone) {
      const left = held.members.get(table);
      left?.delete(backend);
      if (left?.size === 0) held.members.delete(table);
    }
  }
}

/** With the weights that count for something. */
const membersOf = ({ tables }: DesiredServices, table: number): ReadonlyMap<number, number> => {
  const wanted = tables.get(table);
  if (wanted?.weights) return wanted.weights;
  return wanted?.sticky ? new Map(wanted.backends.map((backend) => [backend, 0])) : NONE;
};

type SlotPut = readonly [table: number, slot: number, backend: number];
type SlotKey = readonly [table: number, slot: number];

const slotChanges = (
  { tables }: DesiredServices,
  held: HeldServices,
  changes: ServiceChanges,
): readonly [put: SlotPut[], left: SlotKey[]] => {
  const put: SlotPut[] = [];
  const left: SlotKey[] = [];
  for (const table of changes.tables) {
    const wanted = tables.get(table)?.backends ?? [];
    const had = held.slots.get(table) ?? [];
    for (const [slot, backend] of wanted.entries()) if (had[slot] !== backend) put.push([table, slot, backend]);
    for (let slot = wanted.length; slot < had.length; slot++) left.push([table, slot]);
  }
  return [put, left];
};

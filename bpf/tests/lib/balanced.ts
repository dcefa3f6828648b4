// SPDX-License-Identifier: Apache-2.0
/** Services in the kernel: the object `socket`, its programs at the cgroup of a process that asks for them. */
import {
  attachCgroup,
  type BpfMap,
  type BpfObject,
  type CgroupHook,
  type Link,
  netnsCookie,
  openObject,
} from '@weir/loader';
import {
  address_key,
  backend,
  service,
  service_key,
  service_member_key,
  service_reverse_key,
  service_settings,
  service_slot,
  service_slot_key,
  weir_service_scope,
  workload,
} from '../../gen/index.ts';
import { objectPath } from '../../objects.ts';
import { type Act, type Answer, Asking } from './asking.ts';
import { mapped } from './bytes.ts';

export const TCP = 6;
export const UDP = 17;
export const NODE_PORTS = { low: 30_000, high: 32_767 } as const;

export interface Frontend {
  readonly number: number;
  readonly address: string;
  readonly port: number;
  readonly protocol?: number;
  readonly flags?: number;
  readonly internal?: boolean;
  readonly affinityS?: number;
  /** Numbers of backends. */
  readonly active: readonly number[];
  readonly terminating?: readonly number[];
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const tableOf = ({ number, address, internal }: Frontend): number =>
  number * 4 + (address.includes(':') ? 2 : 0) + (internal ? 1 : 0);

export class Balanced {
  readonly object: BpfObject;
  readonly #asking: Asking;
  readonly #links: Link[];

  private constructor(object: BpfObject, asking: Asking, links: Link[]) {
    this.object = object;
    this.#asking = asking;
    this.#links = links;
  }

  static async open(ports: readonly number[], addresses: readonly string[]): Promise<Balanced> {
    const object = await openObject(objectPath('socket'), { maxEntries: { conntrack: 1024, events: 1 << 16 } });
    const asking = await Asking.open(ports, addresses);
    const links: Link[] = [];
    for (const { name } of object.programs.values()) {
      const hook = name.replace('service_', '') as CgroupHook;
      links.push(await attachCgroup(object.program(name), asking.cgroup, hook));
    }
    const made = new Balanced(object, asking, links);
    await made.hostAgain();
    return made;
  }

  /** The process is one of the host. */
  async hostAgain(): Promise<void> {
    this.settings(await netnsCookie(this.#asking.netns));
  }

  map(name: string): BpfMap {
    return this.object.map(name);
  }

  /** The process is a workload with these addresses. */
  async isWorkload(id: number, identity: number, ip4: string, ip6: string): Promise<void> {
    const none = new Uint8Array(6);
    const value = {
      ...{ id, identity, ifindex: id, flags: 0, policy_revision: 0 },
      ...{ default_rule_ingress: 0, default_rule_egress: 0, mac: none, host_mac: none },
      ...{ ip4: mapped(ip4), ip6: mapped(ip6) },
    };
    this.map('workloads').update(u32(id), workload.encode(value));
    const key = Buffer.alloc(8);
    key.writeBigUInt64LE(await netnsCookie(this.#asking.netns));
    this.map('netns_workloads').update(key, u32(id));
  }

  settings(hostNetns: bigint): void {
    const seed = { hash_seed1: 1, hash_seed2: 2, hash_seed3: 3 };
    const value = { host_netns: hostNetns, node_port_low: NODE_PORTS.low, node_port_high: NODE_PORTS.high, ...seed };
    this.object.map('service_settings').update(u32(0), service_settings.encode(value));
  }

  nodeAddress(address: string): void {
    this.object.map('node_addresses').update(address_key.encode({ addr: mapped(address) }), u32(0));
  }

  backend(number: number, address: string, port: number, protocol = TCP): void {
    const value = backend.encode({ addr: mapped(address), port, protocol, flags: 0, host: 0 });
    this.object.map('backends').update(u32(number), value);
  }

  noBackend(number: number): void {
    this.object.map('backends').delete(u32(number));
  }

  /** In the order of writes that the agent has: slots, the frontend, then what is left over. */
  frontend(one: Frontend): void {
    const { number, active, terminating = [], affinityS = 0 } = one;
    const table = tableOf(one);
    const key = this.#key(one);
    const slots = this.object.map('service_slots');
    const all = [...active, ...terminating];
    const slotKey = (slot: number): Buffer => service_slot_key.encode({ table, slot });
    for (const [slot, to] of all.entries()) {
      slots.update(slotKey(slot), service_slot.encode({ backend: to, table }));
      this.object.map('service_members').update(service_member_key.encode({ table, backend: to }), u32(0));
    }
    const value = {
      ...{ frontend: number, service: number + 1000, flags: one.flags ?? 0, table },
      ...{ active: active.length, terminating: terminating.length, affinity_timeout_s: affinityS, maglev: 0 },
    };
    this.object.map('services').update(key, service.encode(value));
    for (let slot = all.length; slots.delete(slotKey(slot)); slot++);
  }

  notMember(one: Frontend, to: number): void {
    this.object.map('service_members').delete(service_member_key.encode({ table: tableOf(one), backend: to }));
  }

  noFrontend(one: Frontend): void {
    this.object.map('services').delete(this.#key(one));
  }

  #key({ address, port, protocol = TCP, internal = false }: Frontend): Buffer {
    const scope = internal ? weir_service_scope.SERVICE_SCOPE_INTERNAL : weir_service_scope.SERVICE_SCOPE_ANY;
    return service_key.encode({ addr: mapped(address), port, protocol: port ? protocol : 0, scope });
  }

  async counter(number: number): Promise<number> {
    const value = this.object.map('counters').lookup(u32(number)) ?? Buffer.alloc(0);
    let sum = 0;
    for (let at = 0; at < value.length; at += 8) sum += Number(value.readBigUInt64LE(at));
    return sum;
  }

  /** TCP sockets of which it is remembered what they asked for. */
  async remembered(): Promise<number> {
    const { keys, count } = await this.object.map('service_reverse').lookupAll();
    let found = 0;
    for (let i = 0; i < count; i++)
      if (service_reverse_key.read.protocol(keys, i * service_reverse_key.size) === TCP) found++;
    return found;
  }

  ask(act: Act, host: string, port: number, more: Record<string, unknown> = {}): Promise<Answer> {
    return this.#asking.ask(act, host, port, more);
  }

  async close(): Promise<void> {
    await this.#asking.close();
    for (const link of this.#links) link.detach();
    this.object.close();
  }
}

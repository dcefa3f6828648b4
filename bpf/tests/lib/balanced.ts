// SPDX-License-Identifier: Apache-2.0
/** Services in the kernel: the object `socket`, its programs at the cgroup of a process that asks for them. */
import { attachCgroup, type BpfObject, type CgroupHook, type Link, netnsCookie, openObject } from '@weir/loader';
import { service_reverse_key, workload } from '../../gen/index.ts';
import { objectPath } from '../../objects.ts';
import { type Act, type Answer, Asking } from './asking.ts';
import { mapped } from './bytes.ts';
import { ServiceTables, TCP, u32 } from './service-tables.ts';

export * from './service-tables.ts';

export class Balanced extends ServiceTables {
  readonly object: BpfObject;
  readonly #asking: Asking;
  readonly #links: Link[];

  private constructor(object: BpfObject, asking: Asking, links: Link[]) {
    super((name) => object.map(name));
    this.object = object;
    this.#asking = asking;
    this.#links = links;
  }

  static async open(ports: readonly number[], addresses: readonly string[]): Promise<Balanced> {
    const object = await openObject(objectPath('socket'), { maxEntries: { conntrack: 1024, events: 1 << 16 } });
    const asking = await Asking.open(ports, addresses);
    const links: Link[] = [];
    for (const { name } of object.programs.values()) {
      if (!name.startsWith('service_')) continue; // run, not attached
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

// SPDX-License-Identifier: Apache-2.0
/** Three hosts that are told what a control plane would tell them of encryption, when a test says so. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ConfigEntry } from '@weir/bus';
import type { NetworkSchema, Routing, Underlay, WireguardSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { rulesOfAll, waysOf } from './encrypted-places.ts';
import { networkEntry } from './entries.ts';
import { type Joined, type JoinedHost, joinHosts, type Place, STEP_MS } from './joined-hosts.ts';
import type { Resident } from './netns.ts';

/** An emulated machine that has neighbours. */
export const PATIENT_MS = 60_000;
export const WIREGUARD = { enabled: true };
export const STRICT = { ...WIREGUARD, strictCidrs: ['10.0.0.0/8', 'fd90::/12'], strictIngress: true };

export class EncryptingFleet {
  readonly net: Joined;
  network = networkEntry({});

  private constructor(net: Joined) {
    this.net = net;
  }

  /** Every workload has a server at port 80; nobody has heard of encryption. */
  static async start(places: readonly [Place[], Place[], Place[]], world: readonly string[] = []) {
    const fleet = new EncryptingFleet(await joinHosts(places, { world }));
    for (const { resident } of fleet.hosts.flatMap(({ workloads }) => workloads))
      await resident.ask({ op: 'listen', port: 80 });
    for (const host of fleet.hosts) await host.start(fleet.everythingAtFirst());
    return fleet;
  }

  get hosts(): Joined['hosts'] {
    return this.net.hosts;
  }

  async destroy(): Promise<void> {
    for (const host of this.hosts) await host.stop();
    await this.net.destroy();
  }

  residentOf(id: string): Resident {
    const found = this.hosts.flatMap(({ workloads }) => workloads).find((workload) => workload.id === id);
    if (!found) throw new Error(`no workload ${id}`);
    return found.resident;
  }

  get #workloads(): ConfigEntry[] {
    return this.hosts.flatMap(({ workloads }) => workloads.map(({ document }) => document));
  }

  everythingAtFirst(): ConfigEntry[] {
    return [...rulesOfAll(), ...this.hosts.map(({ document }) => document), ...this.#workloads];
  }

  everything(): ConfigEntry[] {
    return [...rulesOfAll(), ...this.hosts.map((host) => host.documentWith()), ...this.#workloads, this.network];
  }

  async tell(...entries: readonly ConfigEntry[]): Promise<void> {
    for (const host of this.hosts) await host.tell(...entries);
  }

  tellNetwork(network: MessageInitShape<typeof NetworkSchema>): Promise<void> {
    this.network = networkEntry(network);
    return this.tell(this.network);
  }

  async later(ms: number): Promise<void> {
    for (const host of this.hosts) {
      host.nowMs += ms;
      await host.pass();
    }
  }

  /** As the control plane would: everybody learns everybody's key. `labels`: by host. */
  tellKeys(labels: Readonly<Record<string, Readonly<Record<string, string>>>> = {}): Promise<void> {
    return this.tell(...this.hosts.map((host) => host.documentWith(labels[host.name])));
  }

  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    for (const end = performance.now() + PATIENT_MS; performance.now() < end; await sleep(100)) {
      if (await holds()) return;
    }
    assert.fail(`not in time: ${what}`);
  }

  /** After a test: no pass of any host failed. Of one that did, says what every host has. */
  async explain(t: TestContext & { readonly passed?: boolean }): Promise<void> {
    const failures = this.hosts.flatMap((host) => host.takeFailures().map((failure) => `${host.name}: ${failure}`));
    if (!t.passed || failures.length > 0) await this.#describe(t);
    assert.deepEqual(failures, []);
  }

  async #describe(t: TestContext): Promise<void> {
    for (const host of this.hosts) {
      const { name, peers, failures } = host;
      const facts = { name, peers, failures, drops: await host.drops(), ways: waysOf(name) };
      t.diagnostic(JSON.stringify(facts, undefined, 1));
    }
  }

  allEncrypted(): Promise<void> {
    const speaksWith = ({ peers }: JoinedHost, other: JoinedHost): boolean => peers[other.name] === 'encrypted';
    return this.until('everybody has answered', async () => {
      await this.later(10);
      return this.hosts.every((host) => this.hosts.every((other) => other === host || speaksWith(host, other)));
    });
  }

  /** Everybody speaks so, and encrypted, when it returns. */
  async changeTo(
    routing: Routing,
    underlay: Underlay,
    wireguard: MessageInitShape<typeof WireguardSchema> = WIREGUARD,
  ): Promise<void> {
    await this.tellNetwork({ routing, underlay, wireguard });
    await this.later(STEP_MS);
    await this.later(STEP_MS);
    await this.tellKeys();
    await this.allEncrypted();
  }
}

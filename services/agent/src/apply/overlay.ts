// SPDX-License-Identifier: Apache-2.0
/**
 * Brings the tunnel device and the maps beside it to the plan, around what the executor writes:
 *
 *   prepare   device and programs, workloads' MTU if it shrinks, identities, tunnels: before an address or a route names them
 *   finish    tunnels and identities that nothing names any more, MTU if it grows, the device when nobody needs it
 *
 * So between any two writes a packet goes one way or the other, and is judged by the same policy on both.
 */
import type { Wiring } from '../plan/model.ts';
import type { OverlayPlan, Tunnel } from '../plan/overlay.ts';
import type { Overlay } from './ports.ts';

const sameTunnel = (a: Tunnel | undefined, b: Tunnel): boolean =>
  a?.remote === b.remote &&
  a.local === b.local &&
  a.send === b.send &&
  a.only === b.only &&
  a.encrypted === b.encrypted;

export class OverlayApplier {
  readonly #port: Overlay;
  #tunnels = new Map<number, Tunnel>();
  #identities = new Set<number>();
  #hasDevice = false;
  /** What workloads' interfaces were last fitted to. */
  #fitted = 'unknown';

  constructor(port: Overlay) {
    this.#port = port;
  }

  /** What an earlier agent left. */
  async load(): Promise<void> {
    const found = await this.#port.read();
    this.#tunnels = new Map(found.tunnels);
    this.#identities = new Set(found.identities);
    this.#hasDevice = found.hasDevice;
    if (found.hasDevice) this.#fitted = 'unknown';
  }

  /**
   * True when the device was made anew: routes through an older one are gone. `later`: the maps begin empty, so the
   * programs of an earlier agent go on with theirs until `takeOver`.
   */
  async prepare(
    plan: OverlayPlan,
    identities: ReadonlySet<number>,
    wirings: () => Iterable<Wiring>,
    later: boolean,
  ): Promise<boolean> {
    let made = false;
    if (plan.device) {
      made = await this.#port.ensureDevice(plan.device, later);
      this.#hasDevice = true;
    }
    if (plan.overheadBytes > 0) await this.#fit(plan, wirings());
    const added = [...identities].filter((identity) => !this.#identities.has(identity));
    if (added.length > 0) await this.#port.addIdentities(added);
    for (const identity of added) this.#identities.add(identity);
    const changed = [...plan.tunnels].filter(
      ([number, tunnel]) => made || !sameTunnel(this.#tunnels.get(number), tunnel),
    );
    if (changed.length > 0) await this.#port.writeTunnels(changed);
    for (const [number, tunnel] of changed) this.#tunnels.set(number, tunnel);
    return made;
  }

  /** The maps are filled. */
  async takeOver(): Promise<void> {
    if (this.#hasDevice) await this.#port.takeOver();
  }

  async finish(plan: OverlayPlan, identities: ReadonlySet<number>, wirings: () => Iterable<Wiring>): Promise<void> {
    const gone = [...this.#tunnels.keys()].filter((number) => !plan.tunnels.has(number));
    if (gone.length > 0) await this.#port.removeTunnels(gone);
    for (const number of gone) this.#tunnels.delete(number);
    const unknown = [...this.#identities].filter((identity) => !identities.has(identity));
    if (unknown.length > 0) await this.#port.removeIdentities(unknown);
    for (const identity of unknown) this.#identities.delete(identity);
    if (plan.overheadBytes === 0) await this.#fit(plan, wirings());
    if (plan.device || !this.#hasDevice) return;
    await this.#port.removeDevice();
    this.#hasDevice = false;
  }

  async #fit(plan: OverlayPlan, wirings: Iterable<Wiring>): Promise<void> {
    const { overheadBytes } = plan;
    const wanted = `${overheadBytes} ${plan.mtu}`;
    if (wanted === this.#fitted) return;
    await this.#port.fitMtu({ overheadBytes, mtu: plan.mtu }, wirings);
    this.#fitted = wanted;
  }

  /** What is wrong with the device; the next prepare mends it. */
  async inspect(): Promise<readonly string[]> {
    return this.#hasDevice ? this.#port.check() : [];
  }
}

// SPDX-License-Identifier: Apache-2.0
/** A host of backends that answer clients by themselves, and what enters and leaves by its uplink. */
import { weir_backend_flags } from '../../gen/index.ts';
import type { Packet } from './packet.ts';
import { enters, leaves } from './scenario.ts';
import { uplinkOf } from './uplink.ts';
import { Vips } from './vips.ts';
import { DB, WEB, World } from './world.ts';

/** Where the backends are asked. */
const PORT = 8080;

interface UplinkStep {
  readonly program: 'from_uplink' | 'to_uplink';
  readonly frame: Buffer;
  readonly cameBy: number;
}

export class BackendHost {
  readonly world: World;
  readonly vips: Vips;

  private constructor(world: World) {
    this.world = world;
    this.vips = new Vips(world);
  }

  static async open(): Promise<BackendHost> {
    return new BackendHost(await World.open({}, 4096, 1 << 20, ['frontend', 'nat64']));
  }

  /** Backends 1 and 11 are those of web in both families, 2 is that of db; there is no frontend. */
  async reset(): Promise<void> {
    await this.world.reset();
    await this.world.clear('service_nat');
    await this.vips.reset(false);
    uplinkOf({ services: true })(this.world);
    for (const [number, address] of [
      [1, WEB.ip4],
      [2, DB.ip4],
      [11, WEB.ip6],
    ] as const) {
      this.vips.backend(number, address, weir_backend_flags.BACKEND_LOCAL, PORT);
    }
  }

  close(): void {
    this.world.close();
  }

  enter(packet: Packet) {
    return this.#run(enters(packet).passes() as UplinkStep);
  }

  leave(packet: Packet) {
    return this.#run(leaves(packet).passes() as UplinkStep);
  }

  #run({ program, frame, cameBy }: UplinkStep) {
    return this.world.run(program, frame, { ingressIfindex: cameBy });
  }
}

// SPDX-License-Identifier: Apache-2.0
/**
 * Addresses and ports of the bus's servers. Names are looked up now and then; an address that a name once had is kept while this
 * agent runs, so that a name server that is away takes nothing from the host.
 */
import { lookup } from 'node:dns/promises';
import { canonicalIp, isIp } from '@weir/net';
import type { ControlAddress } from '../plan/failsafe.ts';

const DEFAULT_PORT = 4222;

interface Server {
  readonly host: string;
  readonly port: number;
}

export const serversOf = (natsUrl: string): readonly Server[] =>
  natsUrl.split(',').map((server) => {
    const url = new URL(server.includes('://') ? server.trim() : `nats://${server.trim()}`);
    return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || DEFAULT_PORT) };
  });

export class ControlAddresses {
  readonly #servers: readonly Server[];
  readonly #onChange: () => void;
  readonly #known = new Map<string, ControlAddress>();
  #list: readonly ControlAddress[] = [];

  constructor(natsUrl: string, onChange: () => void) {
    this.#servers = serversOf(natsUrl);
    this.#onChange = onChange;
    for (const { host, port } of this.#servers) if (isIp(host)) this.#add(host, port);
  }

  get known(): readonly ControlAddress[] {
    return this.#list;
  }

  #add(host: string, port: number): boolean {
    const address = canonicalIp(host);
    const key = `${address} ${port}`;
    if (this.#known.has(key)) return false;
    this.#known.set(key, { address, port });
    this.#list = [...this.#known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
    return true;
  }

  /** Looks names up; what cannot be looked up now stays as it was. */
  async look(): Promise<void> {
    let isNew = false;
    for (const { host, port } of this.#servers) {
      if (isIp(host)) continue;
      const found = await lookup(host, { all: true }).catch(() => []);
      for (const { address } of found) isNew = this.#add(address, port) || isNew;
    }
    if (isNew) this.#onChange();
  }
}

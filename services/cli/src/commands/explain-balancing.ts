// SPDX-License-Identifier: Apache-2.0
/**
 * The load-balancing step of an explanation: an address that is a frontend of a service is none that policy ever sees. Who asks for it is
 * sent to a backend first, and it is the backend's address and port that are judged, at both ends (EVAL-04).
 */
import { formatIp, parseIp, protocolName } from '@weir/net';
import type { Context } from '../context.ts';

interface BackendItem {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly port_name: string;
  readonly weight: number;
  readonly state: string;
  readonly host: string | null;
}

interface ServiceItem {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly spec: { readonly internal_traffic_policy?: string };
  readonly frontends: readonly {
    readonly type: string;
    readonly address: string | null;
    readonly port: number;
    readonly protocol: string;
    readonly port_name: string;
  }[];
  readonly backends: readonly BackendItem[];
}

export interface Balancing {
  /** namespace/name */
  readonly service: string;
  readonly frontend: string;
  readonly type: string;
  /** Those who may be chosen: active ones, else those that are ending; only the client's host's, where the service says so. */
  readonly backends: readonly BackendItem[];
  /** Others of that port, with why they are not asked. */
  readonly leftOut: readonly (BackendItem & { readonly why: string })[];
}

export const endText = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** Undefined: the address, port and protocol are no frontend. `fromHost`: of the client, when it is a workload. */
export const balancingOf = async (
  context: Context,
  { ip, port, protocol, fromHost }: { ip: string; port: number; protocol: number; fromHost: string | undefined },
): Promise<Balancing | undefined> => {
  const asked = formatIp(parseIp(ip));
  const name = protocolName(protocol);
  for (const service of await context.client.list<ServiceItem>('inventory', '/v1/services')) {
    const frontend = service.frontends.find(
      (one) =>
        one.address !== null && formatIp(parseIp(one.address)) === asked && one.port === port && one.protocol === name,
    );
    if (!frontend) continue;
    const family = ip.includes(':');
    const able = service.backends.filter(
      (one) =>
        one.protocol === name && one.address.includes(':') === family && sameName(one.port_name, frontend.port_name),
    );
    const isLocal = service.spec.internal_traffic_policy === 'local' && fromHost !== undefined;
    const near = able.filter(({ host }) => !isLocal || host === fromHost);
    const active = near.filter(({ state, weight }) => state === 'active' && weight > 0);
    const chosen = active.length > 0 ? active : near.filter(({ state }) => state === 'terminating');
    const leftOut = able
      .filter((one) => !chosen.includes(one))
      .map((one) => ({ ...one, why: near.includes(one) ? one.state : `on another host than the client, ${fromHost}` }));
    return {
      service: `${service.namespace}/${service.name}`,
      frontend: `${endText(asked, port)}/${name}`,
      type: frontend.type,
      backends: chosen,
      leftOut,
    };
  }
  return undefined;
};

/** Frontends and backends of services with one port have no name. */
const sameName = (one: string | undefined, other: string | undefined): boolean => (one ?? '') === (other ?? '');

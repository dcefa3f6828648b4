// SPDX-License-Identifier: Apache-2.0
/** Services and their pools as `PUT /v1/services/{id}` and `PUT /v1/lb-pools/{name}` take them, as far as documents make them. */
import type { Position } from '../model.ts';
import type { GatewaySelector } from './egress-gateway.ts';
import type { Issues } from './issues.ts';
import { joinPath, type Located } from './located.ts';

export interface ServiceFrontendBody {
  readonly type: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly port_name: string;
}

export interface ServiceBackendBody {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly port_name: string;
  readonly zone: string;
  readonly state?: string;
}

export interface ServiceBody {
  readonly frontends: readonly ServiceFrontendBody[];
  readonly backends?: readonly ServiceBackendBody[];
  readonly selector?: GatewaySelector;
  readonly [field: string]: unknown;
}

export interface BalancerDocument {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  /** service, pool, announcement (of addresses, L2), bgp (an instance): what the API calls it; slice: backends of the service `name`. */
  readonly becomes: 'service' | 'pool' | 'announcement' | 'bgp' | 'slice';
  readonly body: Readonly<Record<string, unknown>>;
  readonly position?: Position;
  /** By fields of the body: where they stand. */
  readonly places?: ReadonlyMap<string, Position>;
}

export type Places = Map<string, Position>;

export const place = (places: Places, path: string, at: number, issues: Issues): void => {
  const position = issues.locate(at);
  if (position) places.set(path, position);
};

/** Every part of a tree under the path that it has in the body. */
export const placeAll = (places: Places, path: string, node: Located, issues: Issues): void => {
  if (path !== '') place(places, path, node.at, issues);
  if (node.kind === 'list')
    for (const [i, item] of node.items.entries()) placeAll(places, `${path}[${i}]`, item, issues);
  if (node.kind !== 'map') return;
  for (const [key, { keyAt, value }] of node.entries) {
    const below = joinPath(path, key);
    placeAll(places, below, value, issues);
    if (value.kind !== 'scalar') place(places, below, keyAt, issues);
  }
};

/** The place of the nearest field that has one: of `frontends[0].port`, else `frontends[0]`, else `frontends`. */
export const placeOf = (places: ReadonlyMap<string, Position> | undefined, path: string): Position | undefined => {
  for (let rest = path; rest !== ''; rest = rest.replace(/(?:^|\.)[^.[]*$|\[[^\]]*\]$/, '')) {
    const found = places?.get(rest);
    if (found) return found;
  }
  return undefined;
};

// SPDX-License-Identifier: Apache-2.0
/** Routes: RTM_*ROUTE. */
import { SCOPE, type Scope, scopeName } from './addresses.ts';
import { type Family, familyNumber, familyOf, ipText, rawCidr, rawIp } from './ip.ts';
import { AF, attribute, attributes, FLAG, message, number, RTM, u16, u32 } from './message.ts';

const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, TABLE: 15, VIA: 18 } as const;
const RTNH_F_ONLINK = 4;
const RTM_F_CLONED = 0x200;
const HEADER_BYTES = 12;

export const ROUTE_TABLE = { default: 253, main: 254, local: 255 } as const;
const ROUTE_TYPE = { unicast: 1, local: 2, broadcast: 3, blackhole: 6, unreachable: 7, prohibit: 8 } as const;
export type RouteType = keyof typeof ROUTE_TYPE;
/** Who made a route; ours are `static` unless told. */
const PROTOCOL = { kernel: 2, boot: 3, static: 4 } as const;

export interface Route {
  readonly family: Family;
  /** Canonical prefix; `0.0.0.0/0` and `::/0` are the default routes. */
  readonly dst: string;
  readonly via: string | undefined;
  readonly ifindex: number | undefined;
  readonly src: string | undefined;
  readonly table: number;
  readonly metric: number;
  readonly scope: Scope;
  readonly type: RouteType | undefined;
  readonly protocol: number;
}

export interface RouteOptions {
  /** Prefix, or `default` (of the family of via or src, else IPv4). */
  readonly dst: string;
  readonly via?: string;
  readonly ifindex?: number;
  readonly scope?: Scope;
  /** via needs no route of its own: it is a neighbour on ifindex. */
  readonly onlink?: boolean;
  readonly src?: string;
  readonly table?: number;
  readonly metric?: number;
  readonly type?: RouteType;
  readonly protocol?: number;
}

const header = (fields: {
  family: number;
  bits?: number;
  protocol?: number;
  scope?: number;
  type?: number;
  flags?: number;
}): Buffer => {
  const out = Buffer.alloc(HEADER_BYTES);
  out[0] = fields.family;
  out[1] = fields.bits ?? 0;
  out[5] = fields.protocol ?? 0;
  out[6] = fields.scope ?? 0;
  out[7] = fields.type ?? 0;
  out.writeUInt32LE(fields.flags ?? 0, 8);
  return out;
};

export const readRoute = (body: Buffer): Route | undefined => {
  const family = body[0] ?? 0;
  if (body.length < HEADER_BYTES || (family !== AF.INET && family !== AF.INET6)) return undefined;
  if (body.readUInt32LE(8) & RTM_F_CLONED) return undefined; // a cached lookup, nobody's route
  const found = attributes(body, HEADER_BYTES);
  const any = family === AF.INET ? '0.0.0.0' : '::';
  // a next hop of the other family: its family number stands before it
  const via = found.get(RTA.GATEWAY) ?? found.get(RTA.VIA)?.subarray(2);
  return {
    family: familyOf(family),
    dst: `${ipText(found.get(RTA.DST)) ?? any}/${body[1]}`,
    via: ipText(via),
    ifindex: number(found.get(RTA.OIF)),
    src: ipText(found.get(RTA.PREFSRC)),
    table: number(found.get(RTA.TABLE)) ?? body[4] ?? 0,
    metric: number(found.get(RTA.PRIORITY)) ?? 0,
    scope: scopeName(body[6] ?? 0),
    type: (Object.keys(ROUTE_TYPE) as RouteType[]).find((name) => ROUTE_TYPE[name] === body[7]),
    protocol: body[5] ?? 0,
  };
};

export interface RouteFilter {
  readonly family?: Family;
  readonly table?: number;
}

export const listRoutes = ({ family, table }: RouteFilter = {}): Buffer =>
  message(RTM.GETROUTE, FLAG.DUMP, header({ family: family ? familyNumber(family) : AF.UNSPEC }), [
    table === undefined ? undefined : attribute(RTA.TABLE, u32(table)),
  ]);

const destination = ({ dst, via, src }: RouteOptions): ReturnType<typeof rawCidr> => {
  if (dst !== 'default') return rawCidr(dst);
  const other = via ?? src;
  return rawCidr(other !== undefined && rawIp(other).family === AF.INET6 ? '::/0' : '0.0.0.0/0');
};

const routeAttributes = (options: RouteOptions, to: ReturnType<typeof rawCidr>): (Buffer | undefined)[] => {
  const { via, ifindex, src, table = ROUTE_TABLE.main, metric } = options;
  const gateway = via === undefined ? undefined : rawIp(via);
  return [
    to.bits > 0 ? attribute(RTA.DST, to.bytes) : undefined,
    gateway === undefined
      ? undefined
      : gateway.family === to.family
        ? attribute(RTA.GATEWAY, gateway.bytes)
        : attribute(RTA.VIA, Buffer.concat([u16(gateway.family), gateway.bytes])),
    ifindex === undefined ? undefined : attribute(RTA.OIF, u32(ifindex)),
    src === undefined ? undefined : attribute(RTA.PREFSRC, rawIp(src).bytes),
    metric === undefined ? undefined : attribute(RTA.PRIORITY, u32(metric)),
    attribute(RTA.TABLE, u32(table)),
  ];
};

/** New, or in place of the route with that destination, table and metric. */
export const replaceRoute = (options: RouteOptions): Buffer => {
  const to = destination(options);
  const { type = 'unicast', protocol = PROTOCOL.static, onlink } = options;
  // without a next hop an IPv4 destination is on the link itself
  const direct = options.via === undefined && type === 'unicast' && to.family === AF.INET;
  const scope = options.scope ?? (type === 'local' && to.family === AF.INET ? 'host' : direct ? 'link' : 'universe');
  return message(
    RTM.NEWROUTE,
    FLAG.CREATE | FLAG.REPLACE,
    header({
      family: to.family,
      bits: to.bits,
      protocol,
      scope: SCOPE[scope],
      type: ROUTE_TYPE[type],
      flags: onlink ? RTNH_F_ONLINK : 0,
    }),
    routeAttributes(options, to),
  );
};

/** The first route that has all that is given. */
export const deleteRoute = (options: RouteOptions): Buffer => {
  const to = destination(options);
  const scope = options.scope ?? (to.family === AF.INET ? 'nowhere' : 'universe');
  return message(
    RTM.DELROUTE,
    0,
    header({
      family: to.family,
      bits: to.bits,
      protocol: options.protocol ?? 0,
      scope: SCOPE[scope],
      type: options.type ? ROUTE_TYPE[options.type] : 0,
    }),
    routeAttributes(options, to),
  );
};

// SPDX-License-Identifier: Apache-2.0
/** First packets of connections of the workload `WEB`, for tables about policies. */
import { ip4, ip6 } from './packet.ts';
import { received, sent } from './scenario.ts';
import { tcp } from './transport.ts';
import { PEER, WEB } from './world.ts';

let port = 20_000;
/** A connection of its own each time, so that conntrack never answers for the policy. */
export const connect = (dport: number, dst: string = PEER.ip4) =>
  dst.includes(':')
    ? sent(ip6({ src: WEB.ip6, dst }, tcp({ sport: port++, dport })))
    : sent(ip4({ src: WEB.ip4, dst }, tcp({ sport: port++, dport })));
export const connected = (dport: number, src: string = PEER.ip4) =>
  src.includes(':')
    ? received(ip6({ src, dst: WEB.ip6 }, tcp({ sport: port++, dport })))
    : received(ip4({ src, dst: WEB.ip4 }, tcp({ sport: port++, dport })));
export const allowedBy = (rule: number) => ({ flows: [{ verdict: 'forwarded', rule }] });

// SPDX-License-Identifier: Apache-2.0
/** Workloads whose packets ask for a service: a backend that asks itself, and ICMP errors in every direction. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { type Case, received, type Step, sent } from '../lib/scenario.ts';
import { UDP } from '../lib/service-tables.ts';
import { tcp } from '../lib/transport.ts';
import { CLOSED, PEER, WEB } from '../lib/world.ts';
import { away, fromAway, given, type Make, onLink, query, ROUTER, serving, syn, synAck } from './client.ts';
import { FAMILIES, type Family, packetOf, quoting, VIP } from './services.ts';

/** Where a backend hears itself from. */
const LOOPBACK = { ip4: '169.254.42.1', ip6: 'fd57:6569:7200::1' } as const;
const SELF_CLOSED = { policy: [{ egress: true, identity: PEER.identity, id: 1 }], flags: CLOSED };

const itself = (family: Family, make: Make): Step[] => [
  sent(packetOf(family, WEB[family], VIP[family], make({ sport: 1000, dport: 80 }))).redirects(
    given(packetOf(family, LOOPBACK[family], WEB[family], make({ sport: 1000, dport: 8080 }), 63)),
  ),
  sent(packetOf(family, WEB[family], LOOPBACK[family], make({ sport: 8080, dport: 1000 }))).redirects(
    given(packetOf(family, VIP[family], WEB[family], make({ sport: 80, dport: 1000 }), 63)),
  ),
];

const itselfCases = FAMILIES.flatMap((family): Case[] => [
  {
    name: `client ${family}: a backend that asks itself hears from the loopback address, whatever its policy`,
    ...SELF_CLOSED,
    setup: serving({ family, active: [2] }),
    steps: [
      {
        ...itself(family, syn)[0],
        flows: [{ workload: WEB.id, destinationIdentity: WEB.identity, frontend: 1 }],
      } as Step,
      itself(family, synAck)[1] as Step,
      ...itself(family, (ports) => tcp({ ...ports, flags: 'PA', data: 'more' })),
    ],
  },
  {
    name: `client ${family}: errors between a workload and itself`,
    ...SELF_CLOSED,
    setup: serving({ family, protocol: UDP, active: [2] }),
    steps: [
      ...itself(family, query),
      // nobody listens there
      sent(
        quoting(
          family,
          WEB[family],
          LOOPBACK[family],
          packetOf(family, LOOPBACK[family], WEB[family], query({ sport: 1000, dport: 8080 })),
        ),
      ).redirects(
        given(
          quoting(
            family,
            VIP[family],
            WEB[family],
            packetOf(family, WEB[family], VIP[family], query({ sport: 1000, dport: 80 })),
            63,
          ),
        ),
      ),
      // and who asked is not there any more
      sent(
        quoting(
          family,
          WEB[family],
          VIP[family],
          packetOf(family, VIP[family], WEB[family], query({ sport: 80, dport: 1000 })),
        ),
      ).redirects(
        given(
          quoting(
            family,
            LOOPBACK[family],
            WEB[family],
            packetOf(family, WEB[family], LOOPBACK[family], query({ sport: 8080, dport: 1000 })),
            63,
          ),
        ),
      ),
    ],
  },
  {
    name: `client ${family}: the loopback address is nobody's else`,
    setup: serving({ family, active: [2] }),
    steps: [
      sent(packetOf(family, WEB[family], LOOPBACK[family], syn({ sport: 8080, dport: 1000 }))).drops(
        DROP.DROP_NAT_NO_MAPPING,
      ),
      ...itself(family, syn).slice(0, 1),
      sent(packetOf(family, WEB[family], VIP[family], syn({ sport: 1001, dport: 80 }), 1)).drops(
        DROP.DROP_TTL_EXCEEDED,
      ),
    ],
  },
]);

const errorCases = FAMILIES.flatMap((family): Case[] => [
  {
    name: `client ${family}: errors both ways are about what each side has sent`,
    setup: serving({ family, protocol: UDP, active: [3] }),
    steps: [
      away(family, PEER[family], query),
      fromAway(family, PEER[family], query),
      // a router about what the workload has sent
      received(
        quoting(
          family,
          ROUTER[family],
          WEB[family],
          packetOf(family, WEB[family], PEER[family], query({ sport: 1000, dport: 8080 })),
        ),
      ).passes(
        given(
          quoting(
            family,
            ROUTER[family],
            WEB[family],
            packetOf(family, WEB[family], VIP[family], query({ sport: 1000, dport: 80 })),
          ),
        ),
      ),
      // the backend itself
      received(
        quoting(
          family,
          PEER[family],
          WEB[family],
          packetOf(family, WEB[family], PEER[family], query({ sport: 1000, dport: 8080 })),
        ),
      ).passes(
        given(
          quoting(
            family,
            VIP[family],
            WEB[family],
            packetOf(family, WEB[family], VIP[family], query({ sport: 1000, dport: 80 })),
          ),
        ),
      ),
      // the workload about what it was answered
      sent(
        quoting(
          family,
          WEB[family],
          VIP[family],
          packetOf(family, VIP[family], WEB[family], query({ sport: 80, dport: 1000 })),
        ),
      ).passes(
        onLink(
          quoting(
            family,
            WEB[family],
            PEER[family],
            packetOf(family, PEER[family], WEB[family], query({ sport: 8080, dport: 1000 })),
          ),
        ),
      ),
    ],
  },
]);

export const clientItself: Case[] = [...itselfCases, ...errorCases];

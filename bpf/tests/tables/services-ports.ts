// SPDX-License-Identifier: Apache-2.0
/** One port of a client, by two frontends, to one backend: the later connection has another port there. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { otherPort } from '../lib/other-port.ts';
import { ip4Fragments, ip6Fragments, type Packet } from '../lib/packet.ts';
import { becomes, type Case, enters, leaves, type Step } from '../lib/scenario.ts';
import { TCP, UDP } from '../lib/service-tables.ts';
import { type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { ageMappings, NAT, sweepMappings, uplinkOf } from '../lib/uplink.ts';
import { PEER, WEB, WORLD, type World } from '../lib/world.ts';
import {
  FAMILIES,
  type Family,
  FIRST,
  type Made,
  type Ports,
  packetOf,
  quoting,
  ROUTER,
  SCTP,
  serving,
  VIP,
} from './services.ts';

/** Ports of the host in these cases. */
const [LOW, HIGH] = [50_000, 50_999];

/** A second frontend, at port 81 or another address, of the service's only backend. */
const twice =
  (made: Made, address?: string) =>
  (world: World): void => {
    serving({ ...made, uplink: { low: LOW, high: HIGH } })(world);
    const { family = 'ip4', protocol = TCP, active = [1] } = made;
    const place = address === undefined ? { address: VIP[family], port: 81 } : { address, port: 80 };
    world.services.frontend({ ...FIRST, number: 4, ...place, protocol, active });
  };

type Make = (ports: Ports) => Segment;
const syn: Make = (ports) => tcp(ports);
const synAck: Make = (ports) => tcp({ ...ports, flags: 'SA' });
const data: Make = (ports) => tcp({ ...ports, flags: 'PA', data: 'an odd request' });
const query: Make = (ports) => udp({ ...ports, data: 'a question' });

/** As the backend of this host sees the client's port 1000 when it asks the second frontend. */
const seenOf = (family: Family, tries = 1): number =>
  otherPort({ client: WORLD[family], sport: 1000, address: VIP[family], port: 81 }, tries, 0x8000, 0xffff);

const there = (family: Family, dport: number, seen: number, make: Make): Step =>
  enters(packetOf(family, WORLD[family], VIP[family], make({ sport: 1000, dport }))).passes(
    becomes(packetOf(family, WORLD[family], WEB[family], make({ sport: seen, dport: 8080 }))),
  );
const back = (family: Family, sport: number, seen: number, make: Make): Step =>
  leaves(packetOf(family, WEB[family], WORLD[family], make({ sport: 8080, dport: seen }))).passes(
    becomes(packetOf(family, VIP[family], WORLD[family], make({ sport, dport: 1000 }))),
  );

const DATA = Buffer.from('0123456789'.repeat(200));
const piecesOf = (family: Family, src: string, dst: string, ports: Ports): Packet[] =>
  family === 'ip4'
    ? ip4Fragments({ src, dst, id: 77 }, udp({ ...ports, data: DATA }), [1000])
    : ip6Fragments({ src, dst, id: 77 }, udp({ ...ports, data: DATA }), [1000]);

const hereCases: Case[] = FAMILIES.flatMap((family): Case[] => {
  const seen = seenOf(family);
  return [
    {
      name: `ports here ${family}: TCP, there and back, and once more after the first one has been silent for too long`,
      setup: twice({ family }),
      steps: [
        there(family, 80, 1000, syn),
        there(family, 81, seen, syn),
        back(family, 81, seen, synAck),
        back(family, 80, 1000, synAck),
        there(family, 81, seen, data),
        back(family, 81, seen, data),
        there(family, 80, 1000, data),
        // a walk takes nothing of what is used
        {
          ...back(family, 81, seen, data),
          before: async (world) => {
            await sweepMappings(world, 1);
          },
        },
        // the ports of one that is over are free
        {
          ...there(family, 81, 1000, syn),
          before: async (world) => {
            await ageMappings(world, 10_000);
            await sweepMappings(world, 1);
          },
        },
        back(family, 81, 1000, synAck),
        there(
          family,
          80,
          otherPort({ client: WORLD[family], sport: 1000, address: VIP[family], port: 80 }, 1, 0x8000, 0xffff),
          syn,
        ),
      ],
    },
    {
      name: `ports here ${family}: UDP, fragments and errors`,
      setup: twice({ family, protocol: UDP }),
      steps: [
        there(family, 80, 1000, query),
        there(family, 81, seen, query),
        back(family, 81, seen, query),
        ...fragments(family, seen),
        ...errors(family, seen),
      ],
    },
    {
      name: `ports here ${family}: SCTP keeps its ports, and is refused`,
      setup: twice({ family, protocol: SCTP, to: 80 }, NAT[family]),
      steps: [
        enters(packetOf(family, WORLD[family], VIP[family], sctp({ sport: 1000, dport: 80 }))).passes(
          becomes(packetOf(family, WORLD[family], WEB[family], sctp({ sport: 1000, dport: 80 }))),
        ),
        enters(packetOf(family, WORLD[family], NAT[family], sctp({ sport: 1000, dport: 80 }))).drops(
          DROP.DROP_NAT_NO_MAPPING,
        ),
      ],
    },
  ];
});

function fragments(family: Family, seen: number): Step[] {
  const asked = piecesOf(family, WORLD[family], VIP[family], { sport: 1000, dport: 81 });
  const given = piecesOf(family, WORLD[family], WEB[family], { sport: seen, dport: 8080 });
  const answered = piecesOf(family, WEB[family], WORLD[family], { sport: 8080, dport: seen });
  const taken = piecesOf(family, VIP[family], WORLD[family], { sport: 81, dport: 1000 });
  return [
    ...asked.map((packet, i) => enters(packet).passes(becomes(given[i] as Packet))),
    ...answered.map((packet, i) => leaves(packet).passes(becomes(taken[i] as Packet))),
  ];
}

function errors(family: Family, seen: number): Step[] {
  const [client, vip, web] = [WORLD[family], VIP[family], WEB[family]];
  const answered = (src: string, sport: number, dport: number) =>
    packetOf(family, src, client, query({ sport, dport }));
  const asked = (dst: string, sport: number, dport: number) => packetOf(family, client, dst, query({ sport, dport }));
  return [
    enters(quoting(family, ROUTER[family], vip, answered(vip, 81, 1000))).passes(
      becomes(quoting(family, ROUTER[family], web, answered(web, 8080, seen))),
    ),
    leaves(quoting(family, web, client, asked(web, seen, 8080))).passes(
      becomes(quoting(family, vip, client, asked(vip, 1000, 81))),
    ),
  ];
}

const elsewhereCases: Case[] = FAMILIES.flatMap((family): Case[] => {
  const port = otherPort({ client: WORLD[family], sport: 50_000, address: VIP[family], port: 81 }, 1, LOW, HIGH);
  const sends = (dport: number, own: number, make: Make): Step =>
    enters(packetOf(family, WORLD[family], VIP[family], make({ sport: LOW, dport }))).redirects(
      becomes(packetOf(family, NAT[family], PEER[family], make({ sport: own, dport: 8080 }), 63)),
    );
  return [
    {
      name: `ports elsewhere ${family}: another port of the host for the later one`,
      setup: twice({ family, active: [2] }),
      steps: [sends(80, LOW, syn), sends(81, port, syn), sends(80, LOW, data), sends(81, port, data)],
    },
    {
      name: `ports elsewhere ${family}: SCTP keeps its ports, and is refused`,
      setup: twice({ family, active: [2], protocol: SCTP, to: 80 }, NAT[family]),
      steps: [
        enters(packetOf(family, WORLD[family], VIP[family], sctp({ sport: 1000, dport: 80 }))).redirects(
          becomes(packetOf(family, NAT[family], PEER[family], sctp({ sport: 1000, dport: 80 }), 63)),
        ),
        enters(packetOf(family, WORLD[family], NAT[family], sctp({ sport: 1000, dport: 80 }))).drops(
          DROP.DROP_NAT_NO_MAPPING,
        ),
      ],
    },
    {
      name: `ports elsewhere ${family}: refused when the host has no other port`,
      setup: (world) => {
        twice({ family, active: [2] })(world);
        uplinkOf({ services: true, low: LOW, high: LOW })(world);
      },
      steps: [
        sends(80, LOW, syn),
        enters(packetOf(family, WORLD[family], VIP[family], syn({ sport: LOW, dport: 81 }))).drops(
          DROP.DROP_NAT_NO_MAPPING,
        ),
      ],
    },
  ];
});

export const servicesPorts: Case[] = [...hereCases, ...elsewhereCases];

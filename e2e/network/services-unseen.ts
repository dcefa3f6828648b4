// SPDX-License-Identifier: Apache-2.0
/**
 * Services asked for by packets of workloads whose sockets no hook has seen: processes in a workload's namespace that are
 * in no cgroup of the host, and frames put on the link as a virtual machine does. TCP and UDP in both families, to backends
 * elsewhere natively and by tunnel, and to the workload itself.
 */
import assert from 'node:assert/strict';
import { ethernet, ip4, ip6, udp } from '@weir/bpf/testing';
import { callApi } from '@weir/infra/api';
import { until, type Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { flowsSince } from '../matrix/flows.ts';
import { FAMILIES, type Family, PATIENT_MS, type Scene, TCP, UDP } from './scene.ts';

const VIP = { ip4: '203.0.113.82', ip6: '2001:db8:82::82' } as const;
const ASKED = { tcp: 8080, udp: 5353 } as const;
const SERVED = { tcp: TCP, udp: UDP } as const;
const PROTOCOLS = ['tcp', 'udp'] as const;
/** So many connections by chance miss one of two backends once in a million times. */
const MANY = 20;
const LONG_BYTES = 3_000;

const frontends = FAMILIES.flatMap((family) =>
  PROTOCOLS.map((protocol) => ({
    ...{ type: 'external-ip', address: VIP[family], port: ASKED[protocol] },
    ...{ protocol: protocol.toUpperCase(), port_name: protocol },
  })),
);
const targets = PROTOCOLS.map((name) => ({ port_name: name, port: SERVED[name], protocol: name.toUpperCase() }));
const serviceOf = (app: string) => ({ frontends, targets, selector: { match_labels: { app } } });

/** Run in the namespace alone, so that the host's cgroup has no part in it. One outcome for each time. */
const ASKER = `
const [protocol, host, port, times, bytes] = process.argv.slice(1);
const data = Buffer.alloc(Number(bytes), 120);
const tcp = () => new Promise((done) => {
  const socket = require('net').connect({ host, port: Number(port) }, () => socket.write(data));
  let got = 0;
  socket.setTimeout(${PATIENT_MS}, () => { done('timeout'); socket.destroy(); });
  socket.on('data', (some) => { got += some.length; if (got >= data.length) { done('answered'); socket.end(); } });
  socket.on('error', (error) => done(error.code));
  socket.on('end', () => done('closed after ' + got));
});
const udp = () => new Promise((done) => {
  const socket = require('dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const end = (outcome) => { clearTimeout(timer); done(outcome); socket.close(); };
  const timer = setTimeout(() => end('timeout'), ${PATIENT_MS});
  socket.on('error', (error) => end(error.code));
  socket.on('message', (_, from) => end(from.address === host ? 'answered' : 'answered by ' + from.address));
  socket.connect(Number(port), host, () => socket.send(data));
});
(async () => {
  for (let i = 0; i < Number(times); i++) console.log(await (protocol === 'tcp' ? tcp() : udp()));
})();
`;

/** A frame onto the link; then the answer's source and port, as a socket on the port it was sent from hears it. */
const FRAME = `
my ($frame, $family, $port, $index, $type) = @ARGV;
socket(my $ear, $family, 2, 0) or die;
my $any = $family == 2 ? pack('S n a4 x8', 2, $port, '') : pack('S n N a16 N', 10, $port, 0, '', 0);
bind($ear, $any) or die "bind: $!";
socket(my $link, 17, 3, 0) or die "packet socket: $!";
send($link, pack('H*', $frame), 0, pack('S n i S C C a8', 17, $type, $index, 0, 0, 6, pack('H12', $frame))) or die "send: $!";
alarm ${PATIENT_MS / 1000};
my $from = recv($ear, my $data, 9000, 0);
print unpack('H*', $from);
`;

interface LinkJson {
  readonly ifindex: number;
  readonly address: string;
}

/** The frame, and what the socket hears of an answer by the frontend. */
const askByFrame = ({ netns, ...own }: Workload, family: Family, sport: number): [string, string] => {
  const [link] = JSON.parse(inNetns(netns, 'ip', '-json', 'link', 'show', 'eth0')) as LinkJson[];
  const kind = family === 'ip4' ? '-4' : '-6';
  const neighbours = JSON.parse(inNetns(netns, 'ip', kind, '-json', 'neigh', 'show', 'dev', 'eth0')) as {
    lladdr?: string;
  }[];
  const to = neighbours.find(({ lladdr }) => lladdr)?.lladdr;
  assert.ok(link && to, `a neighbour of ${own.id}`);
  const segment = udp({ sport, dport: ASKED.udp, data: 'framed' });
  const make = family === 'ip4' ? ip4 : ip6;
  const frame = ethernet({ from: link.address, to }, make({ src: own[family], dst: VIP[family] }, segment));
  const [number, type] = family === 'ip4' ? ['2', 0x0800] : ['10', 0x86dd];
  const heard = inNetns(
    ...([netns, 'perl', '-e', FRAME, frame.toString('hex'), number] as const),
    ...[`${sport}`, `${link.ifindex}`, `${type}`],
  );
  const port = Buffer.alloc(2);
  port.writeUInt16BE(ASKED.udp);
  const address =
    family === 'ip4' ? Buffer.from(VIP.ip4.split('.').map(Number)).toString('hex') : '20010db8008200000000000000000082';
  return [heard, port.toString('hex') + (family === 'ip6' ? '00000000' : '') + address];
};

export const servicesUnseen = async ({ fleet, web, db, shop, evil }: Scene): Promise<void> => {
  const { inventory, analytics } = fleet.control.urls;
  const url = `${inventory}/v1/services/default.unseen`;
  const set = async (body: object): Promise<void> => {
    const { revision } = await callApi<{ revision: number }>(url, { method: 'PUT', body });
    await fleet.waitReported('inventory', revision, 60_000);
  };
  const ask = ({ netns }: Workload, protocol: 'tcp' | 'udp', family: Family, times = 1, bytes = 100): string[] => {
    const words = [protocol, VIP[family], ASKED[protocol], times, bytes].map(String);
    return inNetns(netns, process.execPath, '-e', ASKER, ...words)
      .trim()
      .split('\n');
  };
  const allAnswer = (from: Workload, times = 1, bytes = 100): void => {
    for (const protocol of PROTOCOLS)
      for (const family of FAMILIES)
        assert.deepEqual(
          ask(from, protocol, family, times, bytes),
          Array.from({ length: times }, () => 'answered'),
          `${from.id} ${protocol} ${family}`,
        );
  };
  /** Backends that the client's flows show, by those that name the service's address. */
  const shown = async (from: Workload, family: Family, since: number): Promise<string> => {
    const flows = (await flowsSince(analytics, since)).filter(
      ({ is_reply: isReply, direction, source, frontend, host }) =>
        !isReply &&
        direction === 'EGRESS' &&
        host === from.spec.host &&
        source.ip === from[family] &&
        frontend?.address === VIP[family],
    );
    return [...new Set(flows.map(({ destination }) => destination.ip))].sort().join();
  };
  const waitShown = async (from: Workload, backends: readonly Workload[], since: number): Promise<void> => {
    for (const family of FAMILIES) {
      const wanted = backends
        .map((one) => one[family])
        .sort()
        .join();
      await until(
        `flows of ${from.id} to ${wanted}`,
        30_000,
        async () => (await shown(from, family, since)) === wanted,
      );
    }
  };

  // Natively on another host and by tunnel on a third; a workload that is a backend reaches itself too.
  await set(serviceOf('web'));
  const since = Date.now();
  for (const from of [db, web]) {
    allAnswer(from, MANY);
    await waitShown(from, [web, shop], since);
  }
  // In fragments, once each backend's path is known to be shorter than that.
  for (const family of FAMILIES) {
    ask(db, 'udp', family, 4, LONG_BYTES);
    assert.deepEqual(ask(db, 'udp', family, 2, LONG_BYTES), ['answered', 'answered'], `fragments ${family}`);
  }
  for (const [i, family] of FAMILIES.entries()) {
    const [heard, wanted] = askByFrame(db, family, 40_000 + i);
    assert.ok(heard.slice(4).startsWith(wanted), `a frame's answer came from ${heard}`);
  }

  // Policy is the backend's: db lets nobody in but the app web.
  await set(serviceOf('db'));
  allAnswer(web);
  const later = Date.now();
  inNetns(evil.netns, 'bash', '-c', `timeout 1 bash -c 'echo x > /dev/udp/${VIP.ip4}/${ASKED.udp}' || true`);
  await until('the refusal of evil to be recorded at db', 30_000, async () =>
    (await flowsSince(analytics, later)).some(
      ({ source, destination, drop_reason: reason }) =>
        source.ip === evil.ip4 && destination.ip === db.ip4 && reason?.code === 133,
    ),
  );

  // Nobody serves: told at once.
  await set(serviceOf('nobody'));
  for (const protocol of PROTOCOLS)
    for (const family of FAMILIES)
      assert.deepEqual(ask(web, protocol, family), ['ECONNREFUSED'], `${protocol} ${family}`);
  await callApi(url, { method: 'DELETE' });
};

// SPDX-License-Identifier: Apache-2.0
/**
 * A service at one address of a pool and one external address, set by documents, and who is asked for it: real connections,
 * TCP and UDP in both families, judged by which workload they came to.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Station, until } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { FAMILIES, type Family, PATIENT_MS, REFUSED_MS, type Scene, TCP, UDP } from './scene.ts';

const CLI = new URL('../../services/cli/src/main.ts', import.meta.url).pathname;
export const VIP = { ip4: '203.0.113.95', ip6: '2001:db8:95::95' } as const;
export const SECOND = { ip4: '203.0.113.96', ip6: '2001:db8:96::96' } as const;
export const PORT = { tcp: 8080, udp: 5353 } as const;
export const SERVED = { tcp: TCP, udp: UDP } as const;
export const PROTOCOLS = ['tcp', 'udp'] as const;
export const REFUSED = /^ECONNREFUSED$/;
export const SILENCE = /^timeout$/;
/** No service is there: whatever the way to the address says. */
export const NOTHING = /^(?!answered$|ECONNREFUSED$)/;
/** Of each protocol: by chance both miss one of two backends once in a million times. */
const TIMES = 10;
export const DEADLINE_MS = 60_000;

/** `spec` and `annotations` as lines of YAML. */
const documentOf = (spec: readonly string[], annotations: readonly string[] = []): string => `
apiVersion: v1
kind: Service
metadata:
  name: rows
  namespace: default
  annotations:
    lbipam.cilium.io/ips: "${VIP.ip4},${VIP.ip6}"
${annotations.map((line) => `    ${line}\n`).join('')}spec:
  type: LoadBalancer
  ipFamilies: [IPv4, IPv6]
  externalIPs: ["${SECOND.ip4}", "${SECOND.ip6}"]
  ports:
    - { name: tcp, protocol: TCP, port: ${PORT.tcp}, targetPort: ${SERVED.tcp} }
    - { name: udp, protocol: UDP, port: ${PORT.udp}, targetPort: ${SERVED.udp} }
${spec.map((line) => `  ${line}\n`).join('')}`;

export type Addresses = Readonly<Record<Family, string>>;
type Ports = Readonly<Record<'tcp' | 'udp', number>>;

/** What a client gets: an outcome of its sockets, or workloads that all of its connections came to, each at least one. */
type Wanted = RegExp | readonly Station[];
export interface Asked {
  readonly from: Station;
  readonly wanted: Wanted;
  readonly at?: Addresses;
  readonly ports?: Ports;
}

interface AskedAs {
  readonly protocols?: readonly (typeof PROTOCOLS)[number][];
  readonly times?: number;
  readonly timeoutMs?: number;
}

const nameOf = (one: Station): string => {
  const { id, name } = one as { readonly id?: string; readonly name?: string };
  return id ?? name ?? 'a host';
};

/** `hosts`: stations of hosts that may serve, too. */
export const askingIn = (scene: Scene, hosts: readonly Station[] = []) => {
  const { fleet, outside, web, shop } = scene;
  const dir = mkdtempSync(join(tmpdir(), 'weir-rows-'));
  const file = join(dir, 'service.yaml');
  const weir = (...words: string[]) =>
    promisify(execFile)(process.execPath, [CLI, ...words], { env: { ...process.env, ...fleet.control.cliEnv } });
  const applyText = async (text: string): Promise<void> => {
    writeFileSync(file, text);
    await weir('apply', '-f', file, '--wait', '--timeout', '60');
  };
  /** Its backends are web on h1 and shop on h3. */
  const apply = (spec: readonly string[], annotations?: readonly string[]): Promise<void> =>
    applyText(documentOf(['selector: { app: web }', ...spec], annotations));
  /** What was applied last is gone. */
  const remove = () => weir('delete', '-f', file);
  /** The world's way to the addresses is by this host. */
  const enterBy = (name: 'h1' | 'h2'): void => {
    const host = fleet.host(name);
    for (const vip of [VIP, SECOND])
      for (const [family, kind] of [
        ['ip4', '-4'],
        ['ip6', '-6'],
      ] as const)
        inNetns(fleet.worldNetns as string, 'ip', kind, 'route', 'replace', vip[family], 'via', host[family]);
  };
  const leave = (): void => {
    for (const vip of [VIP, SECOND])
      for (const [family, kind] of [
        ['ip4', '-4'],
        ['ip6', '-6'],
      ] as const)
        inNetns(fleet.worldNetns as string, 'ip', kind, 'route', 'del', vip[family]);
  };

  const stations: Station[] = [web, shop, outside, ...hosts];
  const counts = (): Promise<number[]> =>
    Promise.all(stations.map(async (one) => one.served().then((served) => served.connections + served.datagrams)));
  /** By these protocols so many times each: how it ended, and to whom it came. */
  const askAs = async (
    { from, at = VIP, ports = PORT }: Omit<Asked, 'wanted'>,
    family: Family,
    { protocols = PROTOCOLS, times = TIMES, timeoutMs = PATIENT_MS }: AskedAs = {},
  ) => {
    const earlier = await counts();
    const results = await from.probes(
      protocols.flatMap((protocol) =>
        Array.from({ length: times }, () => ({ protocol, host: at[family], port: ports[protocol], timeoutMs })),
      ),
    );
    const later = await counts();
    const reached = stations.filter((_, i) => (later[i] as number) > (earlier[i] as number));
    return { results, reached };
  };
  /** What is wrong; empty: nothing. */
  const wrong = async ({ wanted, ...asked }: Asked): Promise<string> => {
    const { from } = asked;
    const isServed = !(wanted instanceof RegExp);
    for (const family of FAMILIES) {
      const { results, reached } = await askAs(asked, family, {
        times: isServed ? TIMES : 1,
        timeoutMs: isServed || wanted.test('ECONNREFUSED') ? PATIENT_MS : REFUSED_MS,
      });
      const outcomes = [...new Set(results.map(({ outcome }) => outcome))].join();
      const fits = isServed
        ? outcomes === 'answered' && stations.every((one) => reached.includes(one) === wanted.includes(one))
        : results.every(({ outcome }) => wanted.test(outcome));
      const names = reached.map(nameOf).join();
      if (!fits) return `${nameOf(from)} by ${family}: ${outcomes}, served by ${names || 'nobody'}`;
    }
    return '';
  };
  /** One after the other: they are told apart by who has served. */
  const expect = async (what: string, asked: readonly Asked[]): Promise<void> => {
    let seen = '';
    for (const one of asked)
      await until(
        what,
        DEADLINE_MS,
        async () => {
          seen = await wrong(one);
          return seen === '';
        },
        () => seen,
      );
  };
  return {
    ...{ apply, applyText, remove, enterBy, expect, askAs },
    /** Takes everything away. */
    end: (): void => {
      leave();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

// SPDX-License-Identifier: Apache-2.0
/**
 * A tenant puts a service, or a redirect, on an address that is not his: of another tenant, of a host, of the control plane, of one
 * link or host alone. The API refuses it and names the field; an agent that gets such a document all the same, signed with
 * the right key, programs nothing of it and says so.
 */
import type { TestContext } from 'node:test';
import { configSubject, createSigner, PUBLISHER_OF, publishTo, STREAM, signDocument, subjects } from '@weir/bus';
import { ApiError, callApi } from '@weir/infra/api';
import { type Pipeline, until } from '@weir/infra/pipeline';
import { FrontendType } from '@weir/proto/weir/bus/v1/config_pb.js';
import { asHost, asService } from '../../faults/pipeline/bus.ts';
import { report } from '../../lib/figures.ts';

export const S20_HOST = 's20';
const VICTIM = '203.0.113.20';
const OWN = '198.51.100.20';

const service = (type: string, address: string) => ({
  frontends: [{ type, address, port: 443 }],
  backends: [{ address: address.includes(':') ? '2001:db8:9::9' : '198.51.100.99', port: 443 }],
});

/** By what it is; `local-redirect` beside every kind of VIP. */
const hijacks = (host: { ip4: string; ip6: string }): Readonly<Record<string, string>> => ({
  "another tenant's service": VICTIM,
  "another tenant's workload": OWN,
  'a pool of workloads': '10.77.1.9',
  'a host': host.ip4,
  'a host, IPv6': host.ip6,
  loopback: '127.0.0.1',
  'loopback, IPv6': '::1',
  'loopback, mapped': '::ffff:127.0.0.1',
  'metadata of a cloud': '169.254.169.254',
  'link-local, IPv6': 'fe80::a9fe:a9fe',
  multicast: '224.0.0.251',
  'multicast, IPv6': 'ff02::fb',
  broadcast: '255.255.255.255',
  unspecified: '0.0.0.0',
});
const TYPES = ['external-ip', 'none', 'cluster-ip', 'local-redirect'];

const refusal = async (url: string, body: object): Promise<string> => {
  try {
    await callApi(url, { method: 'PUT', body });
    return 'taken';
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { field = '', fix = '', value } = error.problem;
    const isNamed = /^frontends\[0\](\.address)?$/.test(field) && fix !== '' && value !== undefined;
    return isNamed ? 'refused' : `${error.status} names ${field}`;
  }
};

export const hijack = async (t: TestContext, pipeline: Pipeline): Promise<void> => {
  const { control } = pipeline;
  const { inventory } = control.urls;
  const { underlay_ip4: ip4, underlay_ip6: ip6 } = await callApi<{ underlay_ip4: string; underlay_ip6: string }>(
    `${inventory}/v1/hosts/${S20_HOST}`,
  );
  await callApi(`${inventory}/v1/services/red.web`, { method: 'PUT', body: service('external-ip', VICTIM) });
  await callApi(`${inventory}/v1/workloads`, { body: { name: 's20', namespace: 'red', host: S20_HOST, ip4: OWN } });
  const wrong: string[] = [];
  const asked = Object.entries(hijacks({ ip4, ip6 })).flatMap(([what, address]) =>
    TYPES.map((type) => ({ what: `${what} by ${type}`, type, address })),
  );
  for (const { what, type, address } of asked) {
    const came = await refusal(`${inventory}/v1/services/blue.thief`, service(type, address));
    if (came !== 'refused') wrong.push(`${what}: ${came}`);
  }

  // Past the API: as if whoever signs had been talked into it.
  const agent = await pipeline.startAgent(S20_HOST);
  const listener = await asHost(control, S20_HOST);
  const watcher = await asService(control, 'policy');
  const errors = new Map<string, string>();
  watcher.nc.subscribe(subjects.ack.build({ host: S20_HOST }), {
    callback: (_, { data }) => {
      for (const { subject, message } of subjects.ack.decode(data).errors) errors.set(subject, message);
    },
  });
  await watcher.nc.flush();
  const publisher = await asService(control, 'inventory');
  const signer = createSigner(control.signingSeed('inventory'));
  // Of an epoch that inventory has not come to: newer than all that it said.
  const epoch = 1_000_000n;
  let revision = 0n;
  const publish = async (key: string, address: string, type: FrontendType): Promise<string> => {
    const subject = configSubject('service', key);
    revision += 1n;
    const number = Number(revision);
    const frontends = [{ number, type, address, port: 443, protocol: 6 }];
    // A redirect without a backend on its host redirects nobody.
    const own = address.includes(':') ? '2001:db8:9::9' : '198.51.100.99';
    const backends = [{ number, address: own, port: 443, protocol: 6, hostId: S20_HOST }];
    const bytes = signDocument(signer, {
      ...{ subject, epoch, revision, publisher: PUBLISHER_OF.service },
      body: { case: 'service', value: { id: key, number, namespace: 'blue', name: key, frontends, backends } },
    });
    await publishTo(publisher.js, STREAM.CONFIG, subject, bytes, `${subject} ${revision}`);
    return subject;
  };
  const forged = [
    ...[ip4, ip6, '127.0.0.1', '::1', '169.254.169.254', 'fe80::1', '224.0.0.251', 'ff02::fb', '0.0.0.0'],
    '255.255.255.255',
  ].flatMap((address) =>
    [FrontendType.EXTERNAL_IP, FrontendType.CLUSTER_IP, FrontendType.LOCAL_REDIRECT].map((type) => ({ address, type })),
  );
  const sent = new Map<string, string>();
  for (const [i, { address, type }] of forged.entries()) {
    sent.set(await publish(`blue.s20-${i}`, address, type), `${address} by ${FrontendType[type]}`);
  }
  await publish('blue.fine', '203.0.113.21', FrontendType.EXTERNAL_IP);
  interface Held {
    readonly items: readonly { readonly address: string }[];
  }
  const held = async (): Promise<string[]> => (await agent.ask<Held>('/services')).items.map(({ address }) => address);
  await until('what is right to be programmed', 30_000, async () => (await held()).includes('203.0.113.21'));
  await until('the agent to have told what it refused', 30_000, async () => errors.size >= sent.size).catch(() => {});
  for (const [subject, what] of sent) if (!errors.has(subject)) wrong.push(`agent: ${what} is not told`);
  const programmed = new Set(await held());
  for (const { address } of forged) if (programmed.has(address)) wrong.push(`agent: ${address} is programmed`);
  await Promise.all([listener, watcher, publisher].map((bus) => bus.close()));
  await pipeline.stopAgents();
  report(t, 'S20', { asked_of_api: asked.length, forged_to_agent: forged.length, wrong: wrong.join('; ') || 'none' }, [
    ['refused by the API and by the agent', wrong.length === 0],
  ]);
};

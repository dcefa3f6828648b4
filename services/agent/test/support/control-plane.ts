// SPDX-License-Identifier: Apache-2.0
/** A control plane of few lines on a real bus: signs and publishes documents, collects what agents say. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type Bus,
  type ConfigKind,
  configSubject,
  connectBus,
  createKeys,
  createSigner,
  ensureStreams,
  PUBLISHER_OF,
  type Publisher,
  publishHeartbeat,
  publishTo,
  STREAM,
  signDocument,
  subjects,
} from '@weir/bus';
import { startTestNats, type TestNats } from '@weir/bus/testing';
import { listRules, parseDocument } from '@weir/policy-engine';
import type { Ack, AgentHeartbeat } from '@weir/proto/weir/bus/v1/agent_pb.js';
import type { ConfigDocumentSchema } from '@weir/proto/weir/bus/v1/config_pb.js';

type Body = NonNullable<MessageInitShape<typeof ConfigDocumentSchema>['body']>;

const keys = createKeys('account');

export const until = async <T>(what: () => T | undefined | false, why: string, ms = 60_000): Promise<T> => {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const found = what();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`not in time: ${why}`);
};

export class ControlPlane {
  readonly nats: TestNats;
  readonly bus: Bus;
  readonly trustedSigners = [keys.publicKey];
  readonly acks = new Map<string, Ack>();
  readonly heartbeats = new Map<string, AgentHeartbeat>();
  readonly flows: { host: string; bytes: Uint8Array; msgId: string }[] = [];
  epoch = 1n;
  readonly revisions: Record<Publisher, bigint> = { inventory: 0n, policy: 0n };
  readonly #live: Record<Publisher, Set<string>> = { inventory: new Set(), policy: new Set() };
  #nextRule = 1;

  private constructor(nats: TestNats, bus: Bus) {
    this.nats = nats;
    this.bus = bus;
  }

  static async start(): Promise<ControlPlane> {
    const nats = await startTestNats();
    const bus = await connectBus({ servers: nats.url, name: 'control plane of a test' });
    await ensureStreams(bus.jsm);
    const plane = new ControlPlane(nats, bus);
    bus.nc.subscribe(subjects.ack.wildcard, {
      callback: (_, { subject, data }) =>
        void plane.acks.set(subjects.ack.parse(subject)?.host ?? '', subjects.ack.decode(data)),
    });
    bus.nc.subscribe(subjects.hb.wildcard, {
      callback: (_, { subject, data }) =>
        void plane.heartbeats.set(subjects.hb.parse(subject)?.host ?? '', subjects.hb.decode(data)),
    });
    bus.nc.subscribe(subjects.evtFlow.wildcard, {
      callback: (_, { subject, data, headers }) =>
        void plane.flows.push({
          host: subjects.evtFlow.parse(subject)?.host ?? '',
          bytes: data,
          msgId: headers?.get('Nats-Msg-Id') ?? '',
        }),
    });
    return plane;
  }

  sign(kind: ConfigKind, key: string, body: Body, signer = createSigner(keys.seed), revision?: bigint): Uint8Array {
    const publisher = PUBLISHER_OF[kind];
    revision ??= ++this.revisions[publisher];
    return signDocument(signer, { subject: configSubject(kind, key), epoch: this.epoch, revision, publisher, body });
  }

  async put(kind: ConfigKind, key: string, body: Body): Promise<bigint> {
    const publisher = PUBLISHER_OF[kind];
    const subject = configSubject(kind, key);
    if (body.case === undefined) this.#live[publisher].delete(subject);
    else this.#live[publisher].add(subject);
    const bytes = this.sign(kind, key, body);
    await this.send(subject, bytes);
    return this.revisions[publisher];
  }

  async send(subject: string, bytes: Uint8Array): Promise<void> {
    await publishTo(this.bus.js, 'WEIR_CFG', subject, bytes, `${subject} ${Math.random()}`);
  }

  remove(kind: ConfigKind, key: string): Promise<bigint> {
    return this.put(kind, key, { case: undefined });
  }

  host(id: string, n: number): Promise<bigint> {
    return this.put('host', id, {
      case: 'host',
      value: {
        id,
        name: id,
        underlayIp4: `192.168.0.${n}`,
        underlayIp6: `fd00:192::${n}`,
        pools: [`10.${n}.0.0/24`, `fd00:${n}::/64`],
      },
    });
  }

  identity(identity: number, ...labels: string[]): Promise<bigint> {
    return this.put('identity', String(identity), { case: 'identity', value: { identity, labels } });
  }

  workload(
    id: string,
    hostId: string,
    identity: number,
    ip4: string,
    more: {
      readonly netns?: string;
      readonly ip6?: string;
      readonly hostNetwork?: boolean;
      readonly cgroup?: string;
      readonly namedPorts?: { name: string; port: number; protocol: number }[];
    } = {},
  ): Promise<bigint> {
    const [namespace = '', name = ''] = id.split('.');
    return this.put('workload', id, {
      case: 'workload',
      value: { id, hostId, name, namespace, identity, ip4, netns: `/run/netns/${id}`, ...more },
    });
  }

  /** Numbers the rules as the policy service does. A document that the engine refuses is published all the same. */
  policy(document: {
    readonly kind: string;
    readonly metadata: { readonly namespace?: string; readonly name: string };
  }): Promise<bigint> {
    const { kind, metadata } = document;
    const key = `${kind}/${metadata.namespace ?? '-'}/${metadata.name}`;
    let rules: { path: string; id: number }[] = [];
    try {
      rules = listRules(parseDocument(document)).map(({ path }) => ({ path, id: this.#nextRule++ }));
    } catch {
      // The agent must cope.
    }
    return this.put('policy', key, {
      case: 'policy',
      value: { key, policyRevision: 1n, document: JSON.stringify(document), rules },
    });
  }

  beat(): void {
    for (const publisher of ['inventory', 'policy'] as const) {
      publishHeartbeat(this.bus.nc, createSigner(keys.seed), publisher, {
        epoch: this.epoch,
        revision: this.revisions[publisher],
        documents: BigInt(this.#live[publisher].size),
      });
    }
  }

  /** Newest revisions of both publishers are in the host's kernel. */
  realised(host: string): Promise<Ack> {
    const { inventory, policy } = this.revisions;
    return until(() => {
      const ack = this.acks.get(host);
      const enough = (ack?.realised.inventory ?? 0n) >= inventory && (ack?.realised.policy ?? 0n) >= policy;
      return enough ? ack : undefined;
    }, `${host} realises ${inventory}, ${policy}`);
  }

  /** Bytes of all batches of events that the stream holds. */
  async storedFlows(): Promise<Uint8Array[]> {
    const consumer = await this.bus.js.consumers.get(STREAM.EVENTS);
    const { num_pending } = await consumer.info();
    if (num_pending === 0) return [];
    const batches: Uint8Array[] = [];
    for await (const { data } of await consumer.fetch({ max_messages: num_pending, expires: 5000 })) batches.push(data);
    return batches;
  }

  async stop(): Promise<void> {
    await this.bus.close();
    await this.nats.stop();
  }
}

/** A Kubernetes NetworkPolicy that lets `from` reach `to` on TCP port 80 and nobody else reach it at all. */
export const allowOnly = (name: string, to: string, from: string, namespace = 'prod') => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, namespace },
  spec: {
    podSelector: { matchLabels: { app: to } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: from } } }], ports: [{ protocol: 'TCP', port: 80 }] }],
  },
});

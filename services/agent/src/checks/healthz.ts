// SPDX-License-Identifier: Apache-2.0
/**
 * Where a load balancer in front of the fleet asks this host whether it has backends of its own: `GET /healthz` at the service's
 * health_check_node_port, when its external traffic policy is local. 200 or 503, with {service, localEndpoints}, as kube-proxy
 * and Cilium answer. A port that can't be had is tried again and told once.
 */
import { createServer, type Server } from 'node:http';
import type { ConfigEntry } from '@weir/bus';
import { BackendState, type LoadBalancerService, TrafficPolicy } from '@weir/proto/weir/bus/v1/config_pb.js';
import { end } from '../health/responder.ts';
import { every, type Loop } from '../loops/every.ts';
import { isSelected, labelTexts } from '../plan/label-selectors.ts';

export interface HealthzOptions {
  readonly host: string;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

const AGAIN_MS = 5_000;
/** Askers are few; a bound for whoever opens many connections. */
const CONNECTIONS_MAX = 256;
const TIMEOUT_MS = 5_000;
const PATHS = new Set(['/healthz', '/']);

/** IPv6 and IPv4, or what the host has of them. */
const listen = async (server: Server, port: number): Promise<void> => {
  const at = (host: string) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  await at('::').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EAFNOSUPPORT' && error.code !== 'EADDRNOTAVAIL') throw error;
    return at('0.0.0.0');
  });
};

const isActive = (state: BackendState): boolean => state === BackendState.ACTIVE || state === BackendState.UNSPECIFIED;

export class Healthz {
  readonly #options: HealthzOptions;
  readonly #services = new Map<string, LoadBalancerService>();
  readonly #servers = new Map<number, Server>();
  readonly #told = new Set<number>();
  readonly #loop: Loop;
  #labels: readonly string[] = [];
  #following: Promise<void> = Promise.resolve();
  #isDue = false;
  #isStopped = false;

  constructor(options: HealthzOptions) {
    this.#options = options;
    this.#loop = every(
      AGAIN_MS,
      () => this.#follow(),
      () => {},
    );
  }

  reset(entries: readonly ConfigEntry[]): void {
    this.#services.clear();
    for (const entry of entries) this.#take(entry);
    void this.#follow();
  }

  change(entry: ConfigEntry): void {
    if (this.#take(entry)) void this.#follow();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop.stop();
    await this.#following;
    for (const server of this.#servers.values()) await end(server);
  }

  /** Whether ports may have to change. */
  #take({ kind, key, removed, document: { body } }: ConfigEntry): boolean {
    if (kind === 'host' && key === this.#options.host) {
      this.#labels = labelTexts(!removed && body.case === 'host' ? body.value.labels : {});
    }
    if (kind !== 'service') return false;
    const had = this.#services.delete(key);
    if (removed || body.case !== 'service') return had;
    const { healthCheckNodePort, externalTrafficPolicy } = body.value;
    if (healthCheckNodePort === 0 || externalTrafficPolicy !== TrafficPolicy.LOCAL) return had;
    this.#services.set(key, body.value);
    return true;
  }

  /** Of two services with one port (documents cross on the way) the older one has it. */
  #serviceAt(port: number): LoadBalancerService | undefined {
    return [...this.#services.values()]
      .filter(({ healthCheckNodePort }) => healthCheckNodePort === port)
      .toSorted((a, b) => a.number - b.number)[0];
  }

  #endpointsOf({ backends, hosts }: LoadBalancerService): number {
    if (!isSelected(hosts, this.#labels)) return 0;
    const own = backends.filter(({ hostId, state }) => hostId === this.#options.host && isActive(state));
    return new Set(own.map(({ workloadId, address }) => workloadId || address)).size;
  }

  #follow(): Promise<void> {
    if (this.#isDue) return this.#following;
    this.#isDue = true;
    this.#following = this.#following.then(() => {
      this.#isDue = false;
      return this.#isStopped ? undefined : this.#listen();
    });
    return this.#following;
  }

  async #listen(): Promise<void> {
    const wanted = new Set([...this.#services.values()].map((service) => service.healthCheckNodePort));
    for (const [port, server] of this.#servers) {
      if (wanted.has(port)) continue;
      this.#servers.delete(port);
      await end(server);
    }
    for (const port of wanted) {
      if (this.#servers.has(port)) continue;
      const server = this.#make(port);
      try {
        await listen(server, port);
        this.#servers.set(port, server);
        this.#told.delete(port);
      } catch (error) {
        if (!this.#told.has(port)) this.#options.onTrouble(`no health is told at port ${port}`, error);
        this.#told.add(port);
      }
    }
  }

  #make(port: number): Server {
    const server = createServer((request, response) => {
      const service = this.#serviceAt(port);
      const isKnown = (request.method === 'GET' || request.method === 'HEAD') && PATHS.has(request.url ?? '');
      if (!service || !isKnown) {
        response.writeHead(404, { connection: 'close', 'content-length': '0' }).end();
        return;
      }
      const localEndpoints = this.#endpointsOf(service);
      const { namespace, name } = service;
      response
        .writeHead(localEndpoints > 0 ? 200 : 503, {
          'content-type': 'application/json',
          connection: 'close',
          'x-load-balancing-endpoint-weight': String(localEndpoints),
        })
        .end(JSON.stringify({ service: { namespace, name }, localEndpoints }));
    });
    server.maxConnections = CONNECTIONS_MAX;
    server.headersTimeout = TIMEOUT_MS;
    server.requestTimeout = TIMEOUT_MS;
    return server;
  }
}

// SPDX-License-Identifier: Apache-2.0
/**
 * Configuration and local facts -> what this host should hold. No I/O; the same documents in any order give the same
 * answer. Incremental: a document marks what it touches, `compute` works on that only.
 */
import type { ConfigEntry } from '@weir/bus';
import { type Compiler, createCompiler } from '@weir/policy-engine';
import type { Host, Workload } from '@weir/proto/weir/bus/v1/config_pb.js';
import { Addresses } from './addresses.ts';
import { compileWorkloads } from './compile-workloads.ts';
import type { Desired } from './desired.ts';
import { EgressPlanner } from './egress.ts';
import { directPools, NO_FACTS, wireguardIssues } from './encryption.ts';
import { EncryptionPlanner } from './encryption-planner.ts';
import { Established } from './established.ts';
import { HEALTH_ENDPOINT, HEALTH_IDENTITY, HEALTH_LABELS, HealthEndpoints } from './health-endpoint.ts';
import { HOST_IDENTITY, HostPolicyPlanner } from './host-policy.ts';
import { Ipcache } from './ipcache.ts';
import { lockdownErrors, withoutAddressesOf } from './lockdown.ts';
import type { DesiredWorkload, DocumentError, LocalFacts, WorkloadPolicy } from './model.ts';
import { NamedPorts } from './named-ports.ts';
import { CidrIds, HostNumbers, LocalIds } from './numbers.ts';
import { networkIssues, Overlay } from './overlay.ts';
import { OverlayPlanner } from './overlay-planner.ts';
import type { PlannerOptions } from './planner-options.ts';
import { Policies } from './policies.ts';
import { type PlannedRoutes, routeErrors, routesTo } from './routes.ts';
import { RuntimePolicies } from './runtime-policies.ts';
import { bandwidthOf, guardingHost, leavingByGateway, limited, withSourceCheck } from './sending.ts';
import { ServicePlanner } from './services.ts';
import { goneOf, inOrder } from './taking-order.ts';
import { unplacedErrors } from './unplaced.ts';
import { UplinkPlanner } from './uplinks.ts';
import { closedFor, hostIssues, wiringIssues, workloadIssues } from './validate.ts';
import { type Local, localOf } from './wiring.ts';

export class Planner {
  readonly #options: PlannerOptions;
  readonly ipcache: Ipcache;
  readonly cidrIds: CidrIds;
  readonly localIds: LocalIds;
  readonly hostNumbers: HostNumbers;
  readonly #overlay: OverlayPlanner;
  readonly #addresses: Addresses;
  readonly policies = new Policies();
  readonly #established = new Established();
  readonly #runtimePolicies = new RuntimePolicies();
  readonly #namedPorts = new NamedPorts();
  readonly #compiler: Compiler = createCompiler();
  readonly #entries = new Map<string, ConfigEntry>();
  readonly #hosts = new Map<string, Host>();
  /** Removed ones stay until `collect`, so that a table loses them only after the ipcache did. */
  readonly #identities = new Map<number, readonly string[]>([[HEALTH_IDENTITY, HEALTH_LABELS]]);
  readonly #goneIdentities = new Set<number>();
  readonly #locals = new Map<string, Local>();
  readonly #errors = new Map<string, DocumentError>();
  readonly #compiled = new Map<string, WorkloadPolicy>();
  readonly #dirty = new Set<string>();
  #allDirty = true;
  #facts: LocalFacts;
  #routes: PlannedRoutes | undefined;
  readonly #uplinks: UplinkPlanner;
  readonly egress: EgressPlanner;
  readonly services: ServicePlanner;
  readonly encryption: EncryptionPlanner;
  readonly #endpoints: HealthEndpoints;
  readonly #hostPolicy: HostPolicyPlanner;

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.cidrIds = new CidrIds(options.maxCidrs);
    this.ipcache = new Ipcache(options.maxIpcache);
    this.localIds = options.localIds ?? new LocalIds();
    this.hostNumbers = options.hostNumbers ?? new HostNumbers();
    this.encryption = new EncryptionPlanner(options.host);
    this.#overlay = new OverlayPlanner(new Overlay(this.hostNumbers, options.overlayStepMs));
    this.#facts = { host: options.host, addresses: [], configurationComplete: false };
    this.#addresses = new Addresses(this.ipcache, options.host, (identity) => this.#knowsLabels(identity));
    this.#addresses.setOwn([]);
    this.#uplinks = new UplinkPlanner(options.host);
    this.egress = new EgressPlanner(options.host, options.egressNumbers);
    this.services = new ServicePlanner(options.host, options.controlAddresses, options.maxServices);
    this.#hostPolicy = new HostPolicyPlanner(options.host, options.hostPolicy);
    this.#endpoints = new HealthEndpoints({
      ...{ host: options.host, netns: options.healthNetns, addresses: this.#addresses },
      onOwn: (own) => this.#setLocal(HEALTH_ENDPOINT, own),
    });
  }

  setFacts(facts: Omit<LocalFacts, 'host'>): void {
    if (facts.addresses.join() !== this.#facts.addresses.join()) {
      this.#routes = undefined;
      this.services.changed();
    }
    if (facts.subnets?.join() !== this.#facts.subnets?.join()) this.#overlay.changed();
    this.encryption.setFacts(facts.encryption ?? NO_FACTS);
    this.#facts = { ...facts, host: this.#options.host };
    this.#addresses.setOwn(facts.addresses);
    if (facts.wallMs !== undefined) this.#touch(this.policies.setTime(facts.wallMs));
  }

  reset(entries: readonly ConfigEntry[]): void {
    for (const entry of inOrder(entries)) this.#take(entry);
    for (const entry of goneOf(this.#entries, entries)) this.#drop(entry);
  }

  change(entry: ConfigEntry): void {
    const held = this.#entries.get(entry.subject);
    if (!entry.removed) this.#take(entry);
    else if (held) this.#drop(held, entry.document.drains && entry.document.body.case === undefined);
  }

  #take(entry: ConfigEntry): void {
    const { subject, document } = entry;
    const held = this.#entries.get(subject)?.document;
    if (held?.revision === document.revision && held.epoch === document.epoch) return;
    this.#entries.set(subject, entry);
    this.#errors.delete(subject);
    this.#endpoints.take(entry);
    this.#runtimePolicies.put(entry, this.#options.host);
    const { body, revision } = document;
    if (body.case === 'host' || body.case === 'service') this.policies.follow(subject, body);
    switch (body.case) {
      case 'host':
        this.#refuse(subject, revision, hostIssues(body.value));
        this.#hosts.set(subject, body.value);
        this.#hostsChanged();
        this.#addresses.putHost(subject, revision, body.value);
        break;
      case 'workload':
        this.#takeWorkload(subject, revision, body.value);
        break;
      case 'identity':
        this.#identities.set(body.value.identity, body.value.labels);
        this.#goneIdentities.delete(body.value.identity);
        this.#addresses.identityChanged(body.value.identity);
        this.egress.changed();
        this.#allDirty = true;
        break;
      case 'egressGateway':
        this.egress.put(entry);
        break;
      case 'network':
        if (this.#refuse(subject, revision, [...networkIssues(body.value), ...wireguardIssues(body.value)])) {
          this.#hostPolicy.put(body.value);
          this.#overlay.put(body.value);
          this.encryption.put(body.value);
        }
        this.#uplinks.put(entry);
        this.services.setSettings(body.value.services);
        break;
      case 'service':
        this.services.put(entry);
        break;
      case 'policy':
        this.#touch(this.policies.put(subject, revision, body.value), document.drains);
        break;
      case 'prefilter':
        this.#uplinks.put(entry);
        break;
    }
  }

  #takeWorkload(subject: string, revision: bigint, workload: Workload): void {
    this.egress.changed();
    const here = workload.hostId === this.#options.host;
    const issues = [...workloadIssues(workload), ...(here ? wiringIssues(workload) : [])];
    this.#dropLocal(subject);
    if (!this.#refuse(subject, revision, issues)) {
      this.#addresses.removeWorkload(subject);
      if (this.#namedPorts.remove(subject)) this.#allDirty = true;
      return;
    }
    this.#addresses.putWorkload(subject, revision, workload);
    if (this.#namedPorts.put(subject, workload)) this.#allDirty = true;
    if (here) this.#setLocal(workload.id, localOf(subject, revision, workload));
  }

  #setLocal(id: string, local: Local | undefined): void {
    if (local) this.#locals.set(id, local);
    else this.#locals.delete(id);
    this.#dirty.add(id);
  }

  #drop(entry: ConfigEntry, drains = false): void {
    const { subject, document } = entry;
    const { body } = document;
    this.#entries.delete(subject);
    this.#errors.delete(subject);
    this.#endpoints.drop(entry);
    this.policies.follow(subject, undefined);
    this.#runtimePolicies.remove(entry, this.#options.host);
    switch (body.case) {
      case 'host':
        this.#hosts.delete(subject);
        this.#hostsChanged();
        this.#addresses.removeHost(subject, body.value.id);
        break;
      case 'workload':
        this.egress.changed();
        this.#dropLocal(subject);
        this.#addresses.removeWorkload(subject);
        if (this.#namedPorts.remove(subject)) this.#allDirty = true;
        break;
      case 'egressGateway':
        this.egress.remove(subject);
        break;
      case 'identity':
        this.#goneIdentities.add(body.value.identity);
        this.egress.changed();
        this.#addresses.identityChanged(body.value.identity);
        break;
      case 'network':
        this.#hostPolicy.put(undefined);
        this.#overlay.put(undefined);
        this.encryption.put(undefined);
        this.#uplinks.remove(entry);
        this.services.setSettings(undefined);
        break;
      case 'service':
        this.services.remove(subject);
        break;
      case 'policy':
        this.#touch(this.policies.remove(subject), drains);
        break;
      case 'prefilter':
        this.#uplinks.remove(entry);
        break;
    }
  }

  #hostsChanged(): void {
    this.#overlay.changed();
    this.encryption.hostsChanged();
    this.#routes = undefined;
    this.#uplinks.changed();
    this.egress.changed();
    this.services.changed();
  }

  #dropLocal(subject: string): void {
    for (const [id, local] of this.#locals) if (local.subject === subject) this.#locals.delete(id);
  }

  #refuse(subject: string, revision: bigint, issues: readonly string[]): boolean {
    if (issues.length === 0) return true;
    const message = `${subject}: ${issues.join('; ')}`;
    this.#errors.set(subject, { subject, revision, code: 'INVALID_ARGUMENT', message });
    return false;
  }

  #knowsLabels(identity: number): boolean {
    return this.#identities.has(identity) && !this.#goneIdentities.has(identity);
  }

  /** `drains`: of a change that somebody has applied, what becomes of connections. */
  #touch(identities: ReadonlySet<number>, drains?: boolean): void {
    if (identities.has(HOST_IDENTITY)) this.#hostPolicy.changed();
    for (const [id, { doc }] of this.#locals) {
      if (!identities.has(doc.identity)) continue;
      this.#dirty.add(id);
      if (drains !== undefined) this.#established.touched(id, drains, this.#compiled.get(id));
    }
  }

  /** Forgets what only lingers. To be called when the kernel holds the last answer. */
  collect(): void {
    if (this.cidrIds.collect()) this.#allDirty = true;
    if (this.#goneIdentities.size === 0) return;
    for (const identity of this.#goneIdentities) this.#identities.delete(identity);
    this.#goneIdentities.clear();
    this.#allDirty = true;
  }

  /** What takes long of compute(), with room for others in between; what is told meanwhile compute() does. */
  prepare(): Promise<void> {
    this.#planWays();
    return this.services.prepare(this.#hosts.values(), this.#facts.addresses, this.#overlay.plan);
  }

  compute(): Desired {
    this.#planWays();
    this.#followLocals();
    this.#touch(this.policies.resolveDirectory());
    const own = this.#hostPolicy.choose(this.policies.hostBundle(), this.#facts);
    const { changed, refused } = this.cidrIds.want(new Set([...this.policies.cidrs(), ...own]));
    if (changed || refused.size > 0) this.#allDirty = true;
    if (this.#allDirty) this.#hostPolicy.changed();
    this.#compile(refused);
    const hostPolicy = this.#hostPolicy.compile({
      ...{ compiler: this.#compiler, maxEntries: this.#options.maxEntries, refused },
      ...{ identities: this.#identities, cidrs: this.cidrIds.all, peerNamedPorts: this.#namedPorts.byIdentity },
    });
    const workloads = new Map<string, DesiredWorkload>();
    const unplaced = this.ipcache.unplaced();
    const unknown = new Set(unplaced.map(({ identity }) => identity));
    const services = this.services.compute(this.#hosts.values(), this.#facts.addresses, this.#overlay.plan);
    const others = [this.policies, this.#uplinks, this.egress, this.services, this.#runtimePolicies];
    const errors = [...this.#errors.values(), ...this.#overlay.errors, ...others.flatMap((one) => one.errors())];
    for (const [id, local] of this.#locals) {
      const desired = this.#desired(local, unknown, hostPolicy.desired !== undefined);
      workloads.set(id, desired);
      errors.push(...lockdownErrors(local, desired));
    }
    errors.push(...hostPolicy.errors);
    errors.push(...unplacedErrors(unplaced, this.ipcache.size, (subject) => this.#entries.has(subject)));
    this.#routes ??= routesTo(this.#hosts, this.#options.host, this.#facts.addresses, this.#overlay.plan.routed);
    errors.push(...routeErrors(this.#routes, (subject) => this.#entries.get(subject)?.document.revision ?? 0n));
    const uplinks = this.#uplinks.compute(this.#hosts.values(), this.egress.plan, {
      services: services?.isOutside ?? false,
      guard: hostPolicy.desired !== undefined,
    });
    return {
      ...{ workloads, cidrs: this.cidrIds.installed },
      ...{ routes: this.#routes.routes, uplinks, services },
      ...{ hostPolicy: hostPolicy.desired, hostBundle: hostPolicy.bundle },
      runtime: this.#runtimePolicies.wanted(this.#locals.values(), this.#identities),
      overlay: this.#overlay.plan,
      egress: this.egress.resolve(this.#overlay.plan.numbers, this.#facts.unreachable ?? new Set()),
      encryption: this.encryption.plan,
      encryptedPools: directPools(this.encryption.plan, this.#overlay.plan.routed, this.#routes.routes),
      // Without a tunnel nobody can claim one.
      identities: this.#overlay.plan.device ? new Set(this.#identities.keys()) : new Set(),
      errors,
    };
  }

  /** First gateways, which the tunnel leads to, then that: it says whose addresses go by it, before the ipcache is asked what has room. */
  #planWays(): void {
    const changed = this.egress.compute({
      hosts: this.#hosts.values(),
      workloads: this.#workloads(),
      labelsOf: (identity) => (this.#knowsLabels(identity) ? this.#identities.get(identity) : undefined),
    });
    if (changed) {
      this.#overlay.setPeers(this.egress.plan.peers);
      this.#uplinks.changed();
    }
    if (this.encryption.compute(this.#hosts.values(), this.#facts.nowMs ?? 0)) this.#overlay.changed();
    if (!this.#overlay.compute(this.#hosts.values(), this.#facts, this.encryption.plan)) return;
    this.#addresses.setHostNumbers(this.#overlay.plan.numbers);
    this.services.changed();
    this.#routes = undefined;
  }

  *#workloads(): Iterable<Workload> {
    for (const { subject, document } of this.#entries.values())
      if (document.body.case === 'workload' && !this.#errors.has(subject)) yield document.body.value;
  }

  /** The policies must know which identities live here before anything is compiled. */
  #followLocals(): void {
    const here = new Set<number>([HOST_IDENTITY]);
    if (this.policies.addIdentity(HOST_IDENTITY, this.#hostPolicy.labels(this.#hosts.values())))
      this.#hostPolicy.changed();
    for (const [id, { doc }] of this.#locals) {
      const labels = this.#identities.get(doc.identity);
      if (!labels) continue;
      here.add(doc.identity);
      if (this.policies.addIdentity(doc.identity, labels)) this.#dirty.add(id);
    }
    for (const identity of this.policies.identities()) if (!here.has(identity)) this.policies.removeIdentity(identity);
    for (const id of this.#compiled.keys()) if (!this.#locals.has(id)) this.#compiled.delete(id);
  }

  #compile(refused: ReadonlySet<string>): void {
    const input = {
      ...{ compiler: this.#compiler, policies: this.policies, locals: this.#locals, refused },
      ...{ identities: this.#identities, cidrs: this.cidrIds.all, peerNamedPorts: this.#namedPorts.byIdentity },
    };
    compileWorkloads(this.#allDirty ? this.#locals.keys() : this.#dirty, input, this.#options, this.#compiled);
    this.#established.decide(this.#compiled);
    this.#dirty.clear();
    this.#allDirty = false;
  }

  #desired({ doc, wiring }: Local, unknown: ReadonlySet<number>, isGuarding: boolean): DesiredWorkload {
    const { id, identity } = doc;
    const closed = closedFor(doc, this.#facts.configurationComplete, this.#knowsLabels(identity));
    const policy = closed ? undefined : this.#compiled.get(id);
    const bandwidth = bandwidthOf(doc);
    const isLeaving = this.egress.plan.selected.has(id);
    return {
      id,
      localId: this.localIds.of(id),
      identity,
      wiring,
      policy:
        policy &&
        guardingHost(
          withSourceCheck(leavingByGateway(limited(withoutAddressesOf(policy, unknown), bandwidth), isLeaving), doc),
          isGuarding,
        ),
      bandwidth,
      established: this.#established.of(id),
      waiting: closed?.waiting ?? '',
      message: closed?.message ?? '',
    };
  }
}

// SPDX-License-Identifier: Apache-2.0
/**
 * Brings the kernel to what the configuration says, whenever somebody says that something changed, and on a timer.
 * It takes no input but the signal: every pass computes from what is known then. One pass at a time; a burst of
 * documents is one pass.
 */
import type { ConfigEntry } from '@weir/bus';
import { nowUs } from '@weir/telemetry';
import type { HostDatapath } from '../apply/host.ts';
import { type EncryptionFacts, NO_FACTS } from '../plan/encryption.ts';
import type { ControlAddress } from '../plan/failsafe.ts';
import { HOST_ENDPOINT, type HostPolicyBundle, NO_HOST_POLICY } from '../plan/host-policy.ts';
import type { DocumentError } from '../plan/model.ts';
import type { Planner } from '../plan/planner.ts';
import type { WantedRuntime } from '../plan/runtime-policies.ts';
import { EMPTY_REPORT, type Report, workloadReports } from '../report/report.ts';
import type { PassTimes } from '../report/stages.ts';
import type { RuntimeReport } from '../runtime/port.ts';
import { runtimeErrors } from '../runtime/start.ts';
import type { StateFile } from '../state-file.ts';

export interface ReconcilerOptions {
  readonly planner: Planner;
  readonly host: HostDatapath;
  readonly stateFile: StateFile;
  /** A first whole configuration is there. */
  readonly isComplete: () => boolean;
  /** Per publisher, how far the planner was told. */
  readonly positions: () => Readonly<Record<string, { readonly revision: bigint }>>;
  /** What the planner was told is on disk. */
  readonly persisted: () => Promise<void>;
  readonly hostAddresses: () => Promise<readonly string[]>;
  readonly hostSubnets?: () => Promise<readonly string[]>;
  /** Of hosts that others depend on; absent: all of them live. */
  readonly health?: HostHealth | undefined;
  readonly encryptionFacts?: () => Promise<EncryptionFacts>;
  /** Servers of the bus. */
  readonly control?: () => readonly ControlAddress[];
  /** Told what the host's own policy is made of: before it is written, and when it is in the kernel. */
  readonly hostFirewall?: {
    begin(bundle: HostPolicyBundle): Promise<void>;
    applied(bundle: HostPolicyBundle): Promise<void>;
  };
  /** Runtime policies; never fails. Absent: none is asked about. */
  readonly runtime?: (wanted: WantedRuntime) => Promise<readonly RuntimeReport[]>;
  readonly readIpcache: () => Promise<Parameters<Planner['ipcache']['compareWith']>[0]>;
  /** Documents that came since the last pass stand in the kernel; told before the report. */
  readonly onRealised?: (documents: readonly ConfigEntry[], times: PassTimes) => void;
  readonly onReport: (report: Report) => void;
  readonly onPass?: (pass: PassFacts) => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
  readonly debounceMs?: number;
  readonly resyncMs?: number;
  /** Instead of this host's clock. */
  readonly wallMs?: (() => number) | undefined;
}

export interface HostHealth {
  /** From now on it is about these. */
  watch(hosts: ReadonlySet<string>): void;
  readonly unreachable: ReadonlySet<string>;
}

export interface PassFacts {
  readonly durationMs: number;
  readonly ok: boolean;
  readonly swapped: number;
  readonly committed: number;
}

/** Documents of one API call come within a few ms of each other. */
const DEBOUNCE_MS = 5;
const RESYNC_MS = 60_000;
/** Policies have times. The clock is looked at, not waited for: it may be set. */
const CLOCK_MS = 500;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

interface Fresh {
  readonly entry: ConfigEntry;
  /** It was not here before. */
  readonly isNews: boolean;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  #report: Report = EMPTY_REPORT;
  #timer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #resyncTimer: NodeJS.Timeout | undefined;
  #clockTimer: NodeJS.Timeout | undefined;
  readonly #wallMs: () => number;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  /** Compare with what the kernel really holds: at first, after a failure, and on a timer. */
  #compareDue = true;
  #collectDue = false;
  #retryMs = RETRY_MIN_MS;
  #endedMs = 0;
  /** Nothing was written yet: differences are news, not drift. */
  #first = true;
  /** Documents that came since the last pass that succeeded: what a failure concerns. */
  readonly #fresh = new Map<string, Fresh>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#resyncTimer = setInterval(() => this.resync(), options.resyncMs ?? RESYNC_MS);
    this.#resyncTimer.unref();
    this.#wallMs = options.wallMs ?? Date.now;
    this.#clockTimer = setInterval(() => {
      if (options.planner.policies.isTimeDue(this.#wallMs())) this.trigger();
    }, CLOCK_MS);
    this.#clockTimer.unref();
  }

  /** Since the last pass ended, ms; 0 while one is under way or due. */
  get idleMs(): number {
    return this.#running || this.#timer ? 0 : performance.now() - this.#endedMs;
  }

  get report(): Report {
    return this.#report;
  }

  /** Told before `trigger`, for reports of what came of it. */
  noteDocument(entry: ConfigEntry, isNews: boolean): void {
    if (this.#fresh.get(entry.subject)?.entry !== entry) this.#fresh.set(entry.subject, { entry, isNews });
  }

  trigger(): void {
    if (this.#stopped) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#running) this.#again = true;
      else this.#occupy(this.#run());
    }, this.#options.debounceMs ?? DEBOUNCE_MS);
  }

  #occupy(work: Promise<void>): void {
    this.#running = work
      .catch(() => {})
      .finally(() => {
        this.#running = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.trigger();
      });
  }

  /** A pass that believes nothing and forgets what only lingered. */
  resync(): void {
    this.#compareDue = true;
    this.#collectDue = true;
    this.trigger();
  }

  /** Nothing of a pass is under way and none starts meanwhile: for whoever else looks at the host. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running) await this.#running;
    const result = work();
    this.#occupy(result.then(() => {}));
    return result;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retryTimer);
    clearInterval(this.#resyncTimer);
    clearInterval(this.#clockTimer);
    await this.#running;
  }

  async #run(): Promise<void> {
    const startedMs = performance.now();
    try {
      const facts = await this.#pass();
      this.#retryMs = RETRY_MIN_MS;
      this.#options.onPass?.({ durationMs: performance.now() - startedMs, ok: true, ...facts });
    } catch (error) {
      this.#options.onTrouble('a pass failed; it is tried again', error);
      this.#options.onPass?.({ durationMs: performance.now() - startedMs, ok: false, swapped: 0, committed: 0 });
      this.#compareDue = true;
      this.#fail(error as Error);
      this.#retryIn(this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
    } finally {
      this.#endedMs = performance.now();
    }
  }

  async #pass(): Promise<{ swapped: number; committed: number }> {
    const { planner, host } = this.#options;
    if (!this.#options.isComplete()) return { swapped: 0, committed: 0 };
    if (this.#collectDue) {
      this.#collectDue = false;
      planner.collect();
    }
    planner.setFacts({
      addresses: await this.#options.hostAddresses(),
      subnets: (await this.#options.hostSubnets?.()) ?? [],
      ...{ nowMs: performance.now(), wallMs: this.#wallMs() },
      ...(this.#options.health ? { unreachable: this.#options.health.unreachable } : {}),
      control: this.#options.control?.() ?? [],
      encryption: (await this.#options.encryptionFacts?.()) ?? NO_FACTS,
      configurationComplete: true,
    });
    if (this.#compareDue) await this.#compare();

    await planner.prepare();
    // From here to the next await nothing can be told to the planner: these belong together.
    const startedUs = nowUs();
    const desired = planner.compute();
    const compiledUs = nowUs();
    this.#options.health?.watch(planner.egress.plan.watched);
    const delta = planner.ipcache.delta();
    const tried = this.#tried();
    const fresh = new Map(this.#fresh);

    await this.#options.persisted();
    const { hostBundle = NO_HOST_POLICY } = desired;
    await this.#options.hostFirewall?.begin(hostBundle);
    await host.adopt(desired);
    await this.#saveState();
    let result = await host.apply(desired, delta);
    planner.ipcache.written(delta);
    this.#compareDue = false;
    this.#first = false;
    let { swapped, committed } = result;

    const wiring = await host.wire(desired);
    if (wiring.changed) {
      await this.#saveState();
      result = await host.apply(desired, { puts: [], deletes: [], rejudge: false });
      swapped += result.swapped;
      committed += result.committed;
    }
    for (const id of planner.localIds.known()) if (!desired.workloads.has(id)) planner.localIds.release(id);

    const own = result.failed.get(HOST_ENDPOINT);
    if (own) throw own;
    await this.#options.hostFirewall?.applied(hostBundle);
    const runtime = (desired.runtime && (await this.#options.runtime?.(desired.runtime))) ?? [];
    const writtenUs = nowUs();
    for (const [subject, one] of fresh) if (this.#fresh.get(subject) === one) this.#fresh.delete(subject);
    const news = [...fresh.values()].flatMap(({ entry, isNews }) => (isNews ? [entry] : []));
    if (news.length > 0) this.#options.onRealised?.(news, { startedUs, compiledUs, writtenUs });
    const realised: Record<string, bigint> = { ...this.#report.realised };
    for (const [publisher, revision] of Object.entries(tried)) {
      if (publisher === 'inventory' && wiring.more) continue;
      realised[publisher] = revision;
    }
    const routeErrors = result.routeFailures.map(({ route, error }) => ({
      subject: '',
      revision: 0n,
      code: 'KERNEL',
      message: `the route to ${route.dst} via ${route.via} could not be set: ${error.message}`,
    }));
    const otherErrors = [...result.uplinkFailures, ...result.encryptionFailures].map((message) => ({
      subject: '',
      revision: 0n,
      code: 'KERNEL',
      message,
    }));
    this.#publish({
      realised,
      tried,
      errors: [...desired.errors, ...routeErrors, ...otherErrors, ...runtimeErrors(runtime)],
      runtime,
      ...workloadReports(desired, host, result.failed),
    });
    // What was taken away last made room for what waited.
    if (wiring.more || planner.ipcache.delta().puts.length > 0) this.#again = true;
    const failed = result.failed.size + routeErrors.length + otherErrors.length > 0;
    const { overlay, encryption } = desired;
    const dueMs = [failed ? RETRY_MAX_MS : host.retryInMs(), overlay.changesInMs, encryption.changesInMs].filter(
      (ms) => ms !== undefined,
    );
    if (dueMs.length > 0) this.#retryIn(Math.min(...dueMs));
    return { swapped, committed };
  }

  /** Per publisher, how far the planner was told now. */
  #tried(): Record<string, bigint> {
    const positions = Object.entries(this.#options.positions());
    return Object.fromEntries(positions.map(([publisher, { revision }]) => [publisher, revision]));
  }

  async #compare(): Promise<void> {
    const { planner, host } = this.#options;
    await host.reread();
    const differing = await planner.ipcache.compareWith(await this.#options.readIpcache());
    if (differing > 0 && !this.#first)
      this.#options.onTrouble(`${differing} entries of the ipcache were to be corrected`, undefined);
  }

  async #saveState(): Promise<void> {
    const localIds = this.#options.planner.localIds.takeChange();
    const hostNumbers = this.#options.planner.hostNumbers.takeChange();
    const netnsIds = this.#options.host.takeNetnsIds();
    const { groups, gateways } = this.#options.planner.egress.numbers;
    const [egressGroups, egressGateways] = [groups.takeChange(), gateways.takeChange()];
    if (!localIds && !netnsIds && !hostNumbers && !egressGroups && !egressGateways) return;
    await this.#options.stateFile.save({
      ...(egressGroups ? { egressGroups } : {}),
      ...(egressGateways ? { egressGateways } : {}),
      ...(localIds ? { localIds } : {}),
      ...(netnsIds ? { netnsIds } : {}),
      ...(hostNumbers ? { hostNumbers } : {}),
    });
  }

  /** What was realised stays said; what came since has failed, and says why. */
  #fail(error: Error): void {
    const errors: DocumentError[] = [...this.#fresh.values()].map(({ entry: { subject, document } }) => ({
      subject,
      revision: document.revision,
      code: 'KERNEL',
      message: `this host could not write it to the kernel: ${error.message}`,
    }));
    this.#publish({ ...this.#report, tried: this.#tried(), errors });
  }

  #publish(report: Report): void {
    this.#report = report;
    this.#options.onReport(report);
  }

  #retryIn(ms: number): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.trigger(), ms);
  }
}

// SPDX-License-Identifier: Apache-2.0
/**
 * Commit-confirm of the host's own policy. A change is in force at once and waits for its confirmation: the agent still reaches
 * the bus by a new connection, or, if it is set so, an operator on the host says yes. What is not confirmed in time is undone by
 * the agent alone, whether the network is there or not, and an agent that was killed meanwhile goes on where it was; after a
 * restart of the machine nothing that was not confirmed comes back.
 *
 * Undone documents stay refused until they change. Taking the last document away needs nobody: it only opens.
 */
import { weirError } from '@weir/errors';
import { type HostPolicyBundle, type HostPolicyChoice, NO_HOST_POLICY } from '../plan/host-policy.ts';
import {
  type HostFirewallAct,
  type HostFirewallEvent,
  type HostFirewallName,
  type HostFirewallState,
  type MachineTime,
  readState,
  type ToldHostFirewall,
  writeState,
} from './state.ts';

export interface HostFirewallOptions {
  readonly path: string;
  /** Who confirms. */
  readonly confirm: 'bus' | 'operator';
  readonly confirmMs: number;
  readonly now: () => MachineTime;
  /** Resolves when the bus is reached by a new connection, now. */
  readonly prove: (signal: AbortSignal) => Promise<void>;
  /** Something else is to be in force. */
  readonly onChange: () => void;
  readonly onEvent: (event: HostFirewallEvent) => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

const PROVE_EVERY_MS = 1_000;
const PROVE_TIMEOUT_MS = 5_000;
/** Programs may have to be loaded first, on a busy machine. */
const APPLY_MS = 30_000;
const HISTORY = 20;
export const OPEN_MAX_S = 3_600;

const keysOf = ({ documents }: HostPolicyBundle): string[] =>
  documents.map(({ subject, revision }) => `${subject}@${revision}`);

export class HostFirewallGuard {
  readonly #options: HostFirewallOptions;
  #state: HostFirewallState;
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #openTimer: NodeJS.Timeout | undefined;
  readonly #stopping = new AbortController();
  #proving = '';
  #lastFailure = '';
  /** Of this agent, and not in the kernel yet. */
  #begun = '';

  private constructor(options: HostFirewallOptions, state: HostFirewallState) {
    this.#options = options;
    this.#state = state;
  }

  static async open(options: HostFirewallOptions): Promise<HostFirewallGuard> {
    const guard = new HostFirewallGuard(options, await readState(options.path, options.onTrouble));
    const { pending, open } = guard.#state;
    if (pending && guard.#leftMs(pending.until) <= 0) {
      const why = 'it was not confirmed before the agent or the machine was started again';
      await guard.#undo(pending.bundle, 'agent', why);
    } else if (pending) guard.#await();
    if (open && guard.#leftMs(open.until) <= 0) await guard.#close();
    else if (open) guard.#awaitClose();
    return guard;
  }

  get state(): HostFirewallState {
    return this.#state;
  }

  /** 0: over, also when the machine was started again meanwhile. */
  #leftMs(until: MachineTime): number {
    const now = this.#options.now();
    return now.boot === until.boot ? Math.max(0, until.ms - now.ms) : 0;
  }

  /** What is to be in force, of what the documents say now. */
  choose(current: HostPolicyBundle): HostPolicyChoice {
    const { open, refused, good } = this.#state;
    if (open) return { bundle: NO_HOST_POLICY, why: `the host was opened by hand: ${open.why}` };
    if (refused?.digest !== current.digest) return { bundle: current };
    return { bundle: good, why: `the change was undone, ${refused.why}` };
  }

  /** Before the kernel is told: from here on it is undone unless it is confirmed. */
  async begin(chosen: HostPolicyBundle): Promise<void> {
    const { good, pending, refused, open } = this.#state;
    if (open || pending?.bundle.digest === chosen.digest) return;
    if (chosen.digest === good.digest) {
      if (!pending) return;
      clearTimeout(this.#timer);
      await this.#write({ pending: null });
      return;
    }
    if (chosen.digest === '') {
      clearTimeout(this.#timer);
      await this.#write({ good: NO_HOST_POLICY, pending: null, refused: null });
      return;
    }
    const until = this.#in(this.#options.confirmMs + APPLY_MS);
    const text = `it waits ${this.#options.confirmMs / 1000} s for its confirmation by ${this.#options.confirm === 'bus' ? 'the bus' : 'an operator'}`;
    await this.#write({
      ...{ pending: { bundle: chosen, until }, refused: refused?.digest === chosen.digest ? null : refused },
      history: this.#told('applied', 'agent', text, chosen),
    });
    this.#lastFailure = '';
    this.#begun = chosen.digest;
    this.#await();
  }

  #in(ms: number): MachineTime {
    const now = this.#options.now();
    return { ...now, ms: now.ms + ms };
  }

  /** The kernel holds it: its time runs from now, once, however often its agent is started again. */
  async applied(chosen: HostPolicyBundle): Promise<void> {
    const { pending } = this.#state;
    if (pending?.bundle.digest !== chosen.digest) return;
    if (this.#begun === chosen.digest) {
      this.#begun = '';
      const until = this.#in(this.#options.confirmMs);
      const writing = this.#write({ pending: { ...pending, until } });
      this.#await();
      await writing;
    }
    if (this.#options.confirm !== 'bus') return;
    if (this.#proving === chosen.digest) return;
    this.#proving = chosen.digest;
    void this.#prove(chosen.digest);
  }

  async #prove(digest: string): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted && this.#state.pending?.bundle.digest === digest) {
      try {
        await this.#options.prove(AbortSignal.any([signal, AbortSignal.timeout(PROVE_TIMEOUT_MS)]));
        if (this.#state.pending?.bundle.digest === digest)
          await this.#confirm('agent', 'the bus was reached by a new connection after the change');
        break;
      } catch (error) {
        this.#lastFailure = (error as Error).message;
        await new Promise((resolve) => setTimeout(resolve, PROVE_EVERY_MS).unref());
      }
    }
    if (this.#proving === digest) this.#proving = '';
  }

  /** An operator on the host says that the change is good. */
  async confirm(why: string): Promise<void> {
    if (!this.#state.pending) throw nothingPending();
    await this.#confirm('operator', why);
  }

  /** An operator on the host takes the change back that waits, or the one that is in force. */
  async undo(why: string): Promise<void> {
    const { pending } = this.#state;
    if (!pending) throw nothingPending();
    await this.#undo(pending.bundle, 'operator', why);
    this.#options.onChange();
  }

  /** No policy of the host's own for so long, whoever is away: for people who are on it and must get on. */
  async open(seconds: number, why: string): Promise<void> {
    const text = `${why} (${seconds} s)`;
    await this.#write({
      open: { until: this.#in(seconds * 1000), why },
      history: this.#told('opened', 'operator', text, this.#state.pending?.bundle ?? this.#state.good),
    });
    this.#awaitClose();
    this.#options.onChange();
  }

  async close(why: string): Promise<void> {
    if (!this.#state.open) return;
    await this.#close('operator', why);
    this.#options.onChange();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#openTimer);
    await this.#writing;
  }

  get name(): HostFirewallName {
    const { good, pending, refused, open } = this.#state;
    return open ? 'open' : pending ? 'pending' : refused ? 'undone' : good.digest === '' ? 'none' : 'confirmed';
  }

  status(): Record<string, unknown> {
    const { pending, refused, open, history } = this.#state;
    return {
      ...{ state: this.name, confirmed_by: this.#options.confirm, ...this.#documents() },
      seconds_left: pending ? Math.ceil(this.#leftMs(pending.until) / 1000) : null,
      undone: refused && { why: refused.why, time_ms: refused.timeMs },
      open: open && { why: open.why, seconds_left: Math.ceil(this.#leftMs(open.until) / 1000) },
      history,
    };
  }

  /** For the fleet; `events` is for whoever tells them. */
  told(): Omit<ToldHostFirewall, 'events'> {
    const { pending, refused, open } = this.#state;
    const ends = open?.until ?? pending?.until;
    const documents = this.#documents();
    return {
      ...{ state: this.name, confirmedBy: this.#options.confirm },
      ...{ documents: documents.documents, lastGood: documents.last_good },
      untilMs: ends ? Date.now() + this.#leftMs(ends) : 0,
      why: open?.why ?? (pending ? '' : (refused?.why ?? '')),
    };
  }

  #documents() {
    const { good, pending } = this.#state;
    return { documents: keysOf(pending?.bundle ?? good), last_good: keysOf(good) };
  }

  async #confirm(by: HostFirewallEvent['by'], why: string): Promise<void> {
    const { pending } = this.#state;
    if (!pending) return;
    clearTimeout(this.#timer);
    const { bundle } = pending;
    await this.#write({
      ...{ good: bundle, pending: null, refused: null },
      history: this.#told('confirmed', by, why, bundle),
    });
  }

  async #undo(bundle: HostPolicyBundle, by: HostFirewallEvent['by'], why: string): Promise<void> {
    clearTimeout(this.#timer);
    await this.#write({
      ...{ pending: null, refused: { digest: bundle.digest, why, timeMs: Date.now() } },
      history: this.#told('undone', by, why, bundle),
    });
  }

  async #close(by: HostFirewallEvent['by'] = 'agent', why = 'its time is over'): Promise<void> {
    clearTimeout(this.#openTimer);
    await this.#write({ open: null, history: this.#told('closed', by, why, this.#state.good) });
  }

  #await(): void {
    clearTimeout(this.#timer);
    const { pending } = this.#state;
    if (!pending) return;
    this.#timer = setTimeout(() => {
      const failure = this.#lastFailure === '' ? '' : `: ${this.#lastFailure}`;
      const missing =
        this.#options.confirm === 'bus'
          ? `the bus was not reached after the change${failure}`
          : 'no operator confirmed it';
      this.#undo(pending.bundle, 'agent', `${missing}, within ${this.#options.confirmMs / 1000} s`)
        // Undone in memory already: that the disk does not take it must not keep it in force.
        .catch((error) => this.#options.onTrouble('the state of the host firewall could not be written', error))
        .finally(() => this.#options.onChange());
    }, this.#leftMs(pending.until));
  }

  #awaitClose(): void {
    clearTimeout(this.#openTimer);
    const { open } = this.#state;
    if (!open) return;
    this.#openTimer = setTimeout(() => {
      this.#close()
        .catch((error) => this.#options.onTrouble('the state of the host firewall could not be written', error))
        .finally(() => this.#options.onChange());
    }, this.#leftMs(open.until));
  }

  #told(act: HostFirewallAct, by: HostFirewallEvent['by'], why: string, bundle: HostPolicyBundle) {
    const sequence = (this.#state.history.at(-1)?.sequence ?? 0) + 1;
    const event: HostFirewallEvent = { sequence, timeMs: Date.now(), act, by, why, documents: keysOf(bundle) };
    this.#options.onEvent(event);
    return [...this.#state.history, event].slice(-HISTORY);
  }

  #write(change: Partial<HostFirewallState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    const writing = this.#writing.catch(() => {}).then(() => writeState(this.#options.path, this.#state));
    this.#writing = writing;
    return writing;
  }
}

const nothingPending = () =>
  weirError('NOT_FOUND', 'no change of the host firewall waits for a confirmation', {
    field: 'host-firewall',
    fix: 'see GET /host-firewall for what is in force',
  });

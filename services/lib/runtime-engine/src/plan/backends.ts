// SPDX-License-Identifier: Apache-2.0
/**
 * By which means of a host's kernel a hook is attached: the first that can do all the hook asks for, else the first that can do some of
 * it, and what that leaves out is said. What no means can do has a reason. Facts about kernels: KERNEL in the agent's README.
 */
import type { Action, Hook, RuntimePolicy } from '../model.ts';
import { type ActionName, ENFORCING } from '../words.ts';
import { syscallName } from './tables.ts';

/** What a host's kernel lets BPF do, by trying it. */
export const RUNTIME_FEATURES = [
  'tracepoint',
  'raw_tracepoint',
  'uprobe',
  'uprobe_override',
  'kprobe',
  'kprobe_override',
  'fentry',
  'lsm',
  'cgroup_sock_addr',
  'fanotify_perm',
  'send_signal',
  'strnstr',
] as const;
export type RuntimeFeature = (typeof RUNTIME_FEATURES)[number];

export type Backend =
  | 'tracepoint'
  | 'raw_tracepoint'
  | 'raw_syscalls'
  | 'kprobe'
  | 'fentry'
  | 'lsm'
  | 'uprobe'
  | 'cgroup'
  | 'fanotify';

export interface Choice {
  /** Place of the hook in the document. */
  readonly path: string;
  /** `none`: the hook cannot be attached; `limits` say why. */
  readonly backend: Backend | 'none';
  /** What does what `backend` cannot. */
  readonly helpers: readonly Backend[];
  /** Enforcing actions that are really taken before or when the call happens. */
  readonly enforces: readonly ActionName[];
  readonly limits: readonly string[];
}

interface Asked {
  readonly actions: readonly Action[];
  readonly override: boolean;
  /** Override with an error other than EPERM (-1), all that a cgroup hook or fanotify can answer. */
  readonly otherError: boolean;
  readonly signals: boolean;
  readonly substring: boolean;
}

const EPERM = -1;

const askedOf = (hook: Hook): Asked => {
  const actions = hook.selectors.flatMap((selector) => [...selector.actions, ...selector.returnActions]);
  const overrides = actions.filter(
    ({ action, argError }) => action === 'Override' || (action === 'NotifyEnforcer' && argError),
  );
  return {
    actions,
    override: overrides.length > 0,
    otherError: overrides.some(({ argError }) => argError !== EPERM),
    signals: actions.some(
      ({ action, argSig }) => action === 'Sigkill' || action === 'Signal' || (action === 'NotifyEnforcer' && argSig),
    ),
    substring: hook.selectors.some(({ args, data }) =>
      [...args, ...data].some(({ comparison }) => comparison.startsWith('substring')),
    ),
  };
};

/** System calls that a cgroup hook or fanotify can refuse. */
const REFUSED_BY: Readonly<Record<string, 'cgroup' | 'fanotify'>> = {
  connect: 'cgroup',
  bind: 'cgroup',
  sendto: 'cgroup',
  sendmsg: 'cgroup',
  open: 'fanotify',
  openat: 'fanotify',
  openat2: 'fanotify',
  execve: 'fanotify',
  execveat: 'fanotify',
};
/** LSM hooks and the functions that call them, which the same means can refuse. */
const LSM_REFUSED_BY: Readonly<Record<string, 'cgroup' | 'fanotify'>> = {
  socket_connect: 'cgroup',
  socket_bind: 'cgroup',
  socket_sendmsg: 'cgroup',
  file_open: 'fanotify',
  bprm_check_security: 'fanotify',
};

const RAW_SYSCALL_LIMIT =
  'arguments in user memory are read when the call begins, and another thread may change them afterwards';
const OF_KILL = 'the process is killed before it returns from the call; the call itself may have happened';

class Answer {
  readonly #path: string;
  readonly #asked: Asked;
  readonly limits: string[] = [];
  readonly helpers: Backend[] = [];
  override = false;

  constructor(path: string, asked: Asked) {
    this.#path = path;
    this.#asked = asked;
  }

  none(reason: string): Choice {
    return { path: this.#path, backend: 'none', helpers: [], enforces: [], limits: [reason] };
  }

  choose(backend: Backend, has: (feature: RuntimeFeature) => boolean): Choice {
    const { actions, override, signals, substring } = this.#asked;
    if (substring && !has('strnstr')) return this.none('SubString needs bpf_strnstr, which this kernel does not have');
    if (signals && !has('send_signal'))
      this.limits.push('this kernel lets BPF send no signals: Sigkill and Signal are not taken');
    if (signals && has('send_signal') && backend !== 'lsm' && !this.override) this.limits.push(OF_KILL);
    if (override && !this.override) this.limits.push('Override is not possible here: the call goes on');
    const canDo = ({ action }: Action): boolean => {
      if (action === 'Sigkill' || action === 'Signal') return has('send_signal');
      if (action === 'Override') return this.override;
      if (action === 'NotifyEnforcer') return this.override || has('send_signal');
      return action === 'Set' && has('uprobe_override');
    };
    const enforcing = actions.filter(({ action }) => ENFORCING.includes(action)).filter(canDo);
    const enforces = [...new Set(enforcing.map(({ action }) => action))];
    return { path: this.#path, backend, helpers: this.helpers, enforces, limits: this.limits };
  }
}

/** Another means refuses what the one that sees cannot. */
const refuseElsewhere = (
  answer: Answer,
  means: 'cgroup' | 'fanotify' | undefined,
  asked: Asked,
  has: (feature: RuntimeFeature) => boolean,
): void => {
  if (!asked.override || answer.override || means === undefined) return;
  if (!has(means === 'cgroup' ? 'cgroup_sock_addr' : 'fanotify_perm')) return;
  if (asked.otherError) {
    answer.limits.push(`${means} can refuse with EPERM (argError: -1) only`);
    return;
  }
  answer.helpers.push(means);
  answer.override = true;
  answer.limits.push(
    means === 'cgroup'
      ? 'refused by cgroup hooks: sockets of IPv4 and IPv6 only'
      : 'refused by fanotify while the agent runs: filters on paths and processes only',
  );
};

const ofFunction = (
  hook: Hook,
  call: string,
  answer: Answer,
  asked: Asked,
  has: (f: RuntimeFeature) => boolean,
): Choice => {
  const lsm = /^security_(.+)$/.exec(call)?.[1];
  if (lsm !== undefined && has('lsm')) {
    answer.override = true;
    if (!hook.returns) return answer.choose('lsm', has);
  }
  if (has('kprobe')) {
    answer.override = asked.override && has('kprobe_override');
    if (asked.override && has('kprobe_override')) {
      answer.limits.push(
        'Override works for functions that the kernel allows it for (/sys/kernel/debug/error_injection/list)',
      );
    }
    return answer.choose('kprobe', has);
  }
  if (has('fentry')) {
    answer.override = false;
    return answer.choose('fentry', has);
  }
  return answer.none(`this kernel has neither kprobes nor fentry: ${call} cannot be seen`);
};

const ofSyscall = (call: string, answer: Answer, asked: Asked, has: (f: RuntimeFeature) => boolean): Choice => {
  if (has('kprobe') && asked.override && has('kprobe_override')) {
    answer.override = true;
    return answer.choose('kprobe', has);
  }
  if (!has('raw_tracepoint')) return answer.none('this kernel lets BPF attach to no raw tracepoints');
  answer.limits.push(RAW_SYSCALL_LIMIT);
  refuseElsewhere(answer, REFUSED_BY[syscallName(call)], asked, has);
  return answer.choose('raw_syscalls', has);
};

const ofLsm = (name: string, answer: Answer, asked: Asked, has: (f: RuntimeFeature) => boolean): Choice => {
  if (has('lsm')) {
    answer.override = true;
    return answer.choose('lsm', has);
  }
  if (!has('kprobe')) return answer.none(`this kernel refuses LSM programs and has no kprobes: ${name} cannot be seen`);
  answer.limits.push(`seen by a kprobe of security_${name}`);
  refuseElsewhere(answer, LSM_REFUSED_BY[name], asked, has);
  return answer.choose('kprobe', has);
};

const choose = (hook: Hook, has: (feature: RuntimeFeature) => boolean): Choice => {
  const asked = askedOf(hook);
  const answer = new Answer(hook.path, asked);
  const { target } = hook;
  switch (target.kind) {
    case 'kprobe':
    case 'fentry':
      if (target.syscall) return ofSyscall(target.call, answer, asked, has);
      return ofFunction(hook, target.call, answer, asked, has);
    case 'tracepoint': {
      const feature = target.raw ? 'raw_tracepoint' : 'tracepoint';
      return has(feature) ? answer.choose(feature, has) : answer.none(`this kernel lets BPF attach to no ${feature}`);
    }
    case 'uprobe':
    case 'usdt':
      if (!has('uprobe')) return answer.none('this kernel has no uprobes');
      answer.override = asked.override && has('uprobe_override');
      return answer.choose('uprobe', has);
    case 'lsm':
      return ofLsm(target.hook, answer, asked, has);
  }
};

/** One choice for each hook, in the order of the policy's hooks. */
export const chooseBackends = (policy: RuntimePolicy, features: Iterable<string>): Choice[] => {
  const known = new Set(features);
  return policy.hooks.map((hook) => choose(hook, (feature) => known.has(feature)));
};

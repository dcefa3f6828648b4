// SPDX-License-Identifier: Apache-2.0
/**
 * A command on another kernel: QEMU without hardware help, the machine's root as the guest's (read-only, changes stay in
 * the guest's memory), no network card. The command's status and output come back over serial ports.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { weirError } from '@weir/errors';
import { archive, bootImage } from './image.ts';
import type { GuestKernel } from './kernels.ts';
import { sweepDead } from './remains.ts';

export interface GuestOptions {
  readonly kernel: GuestKernel;
  /** Program and arguments; found on the caller's PATH. */
  readonly command: readonly string[];
  /** From power-on to the end of the command. */
  readonly timeoutMs: number;
  /** Folder to run in, visible in the guest; the caller's unless given. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cpus?: number;
  readonly memoryMb?: number;
  /** Security modules in their order (`lsm=`). */
  readonly lsm?: string;
  /** More of the kernel's command line. */
  readonly cmdline?: string;
  /** Folder that the guest may write to, under the same path. */
  readonly share?: string;
  /** A network card: servers on the machine's loopback are at MACHINE for the guest. */
  readonly network?: boolean;
  /** The clock counts instructions: rates in the guest repeat, whatever else the machine does. One CPU. */
  readonly countInstructions?: boolean;
  /** Output of both kinds as it comes. */
  readonly onOutput?: (text: string) => void;
  /** Ends the guest; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface GuestResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly console: string;
  /** Until the command began, by the guest's clock. */
  readonly bootS: number;
  readonly wallMs: number;
}

/**
 * Everything but what makes a kernel do for safety or speed what costs an emulator much: copying byte by byte (erms), a fifth
 * level of page tables, opening and closing user memory around each copy. The packets take 73 s of processor instead of 84.
 */
const CPU = 'max,-erms,-fsrm,-la57,-smap,-smep';
const QEMU = 'qemu-system-x86_64';
/** Where QEMU's user network puts the machine. */
export const MACHINE = '10.0.2.2';

const SETPRIV = '/usr/bin/setpriv';
/** BPF programs may answer for the kernel, as on a machine where that is wanted. */
const LSM = 'lockdown,capability,landlock,bpf';
/** From lib/x86/... on: panics end the guest, and nothing is slowed for an attacker who is not there. */
const CMDLINE =
  'console=ttyS0 quiet panic=-1 oops=panic mitigations=off nokaslr tsc=reliable random.trust_cpu=on no_timer_check';
const POLL_MS = 100;
const CONSOLE_TAIL_LINES = 40;

const missing = (): string | undefined => {
  if (process.arch !== 'x64') return `guests are x86-64, this machine is ${process.arch}`;
  if (process.getuid?.() !== 0) return 'needs root';
  const onPath = (process.env.PATH ?? '').split(':').some((dir) => existsSync(join(dir, QEMU)));
  return onPath ? undefined : `needs ${QEMU} (Debian package qemu-system-x86)`;
};

/** false, or why no guest can be started here. With CI=true nothing is skipped silently: it throws. */
export const needGuest = (): string | false => {
  const reason = missing();
  if (reason === undefined) return false;
  if (process.env.CI === 'true') throw new Error(`CI runs the tests on other kernels, but: ${reason}`);
  return reason;
};

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** What the guest is told, as a second archive behind the initramfs. */
const instructions = (options: GuestOptions, cwd: string, dir: string): Buffer => {
  const guest = join(dir, 'told/guest');
  mkdirSync(guest, { recursive: true });
  const env = { PATH: process.env.PATH ?? '', HOME: '/root', ...options.env };
  const lines = [
    `cd ${quoted(cwd)} || exit 126`,
    ...Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`),
    `exec ${options.command.map(quoted).join(' ')}`,
  ];
  writeFileSync(join(guest, 'command'), `${lines.join('\n')}\n`);
  writeFileSync(join(guest, 'run.sh'), readFileSync(join(import.meta.dirname, 'guest/run.sh')));
  writeFileSync(join(guest, 'cwd'), cwd);
  if (options.share) writeFileSync(join(guest, 'share'), options.share);
  return archive(join(dir, 'told'));
};

const PORTS = ['stdout', 'stderr', 'status'] as const;

const qemuArguments = (options: GuestOptions, kernel: string, initrd: string, dir: string): string[] => {
  const { cpus = 2, memoryMb = 2048, countInstructions = false, lsm = LSM, cmdline = '', share, network } = options;
  const folder = (path: string, tag: string, more = ',readonly=on'): string[] => [
    '-virtfs',
    `local,path=${path},mount_tag=${tag},security_model=none,multidevs=remap${more}`,
  ];
  return [
    ...['-accel', `tcg,thread=${countInstructions ? 'single' : 'multi'}`, '-cpu', CPU],
    ...(countInstructions ? ['-icount', 'shift=1,sleep=off'] : []),
    ...['-smp', String(countInstructions ? 1 : cpus), '-m', String(memoryMb)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-nic', network ? 'user,model=virtio-net-pci,ipv6=off' : 'none'],
    ...['-kernel', kernel, '-initrd', initrd, '-append', `${CMDLINE} lsm=${lsm} ${cmdline}`],
    ...['-serial', `file:${join(dir, 'console')}`, '-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
    ...PORTS.flatMap((name) => [
      ...['-chardev', `file,id=${name},path=${join(dir, name)}`],
      ...['-device', `virtserialport,chardev=${name},name=${name}`],
    ]),
    ...folder('/', 'root'),
    ...folder(options.kernel.modules, 'modules'),
    ...(share ? folder(share, 'share', '') : []),
  ];
};

/** The guest ends with whoever asked for it. */
const startQemu = (args: readonly string[]): ChildProcess => {
  const bound = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', '--', QEMU] : [QEMU];
  const [program = QEMU, ...before] = bound;
  return spawn(program, [...before, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
};

const tailOf = (text: string): string => text.trimEnd().split('\n').slice(-CONSOLE_TAIL_LINES).join('\n');

/** Folders of guests whose process was killed with -9. */
export const sweepGuests = (): string[] => sweepDead(tmpdir(), /^weir-guest-(\d+)-/);

/**
 * Runs a command in a guest of its own. Resolves when the command has ended, whatever its status; throws UNAVAILABLE
 * with the end of the console when the guest does not boot, dies, or takes longer than `timeoutMs`.
 */
export const inGuest = async (options: GuestOptions): Promise<GuestResult> => {
  const { signal, cwd = process.cwd() } = options;
  signal?.throwIfAborted();
  sweepGuests();
  const image = bootImage(options.kernel);
  const dir = mkdtempSync(join(tmpdir(), `weir-guest-${process.pid}-`));
  const read = (name: string): string => {
    const path = join(dir, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  try {
    const initrd = join(dir, 'initrd');
    writeFileSync(initrd, readFileSync(image.initramfs));
    appendFileSync(initrd, instructions(options, cwd, dir));
    const started = performance.now();
    const qemu = startQemu(qemuArguments(options, image.kernel, initrd, dir));
    let complaint = '';
    qemu.stderr?.on('data', (data) => {
      complaint += data;
    });
    let ended = false;
    const end = new Promise<void>((resolve) => {
      qemu.once('error', (error) => {
        complaint += error.message;
        resolve();
      });
      qemu.once('close', () => resolve());
    }).then(() => {
      ended = true;
    });
    const shown = { stdout: 0, stderr: 0 };
    const show = (): void => {
      for (const name of ['stdout', 'stderr'] as const) {
        const text = read(name);
        if (text.length > shown[name]) options.onOutput?.(text.slice(shown[name]));
        shown[name] = text.length;
      }
    };
    let late = false;
    while (!ended) {
      await Promise.race([end, sleep(POLL_MS, undefined, { ref: true })]);
      if (options.onOutput) show();
      late = performance.now() - started > options.timeoutMs;
      if (!ended && (late || signal?.aborted)) {
        qemu.kill('SIGKILL');
        await end;
      }
    }
    signal?.throwIfAborted();
    const status = read('status');
    const exit = /^exit (\d+)$/m.exec(status)?.[1];
    const result = { stdout: read('stdout'), stderr: read('stderr'), console: read('console') };
    if (exit === undefined) {
      const stage = status.includes('booted') ? 'while the command ran' : 'before it had booted';
      const why = late ? `was not done after ${options.timeoutMs} ms` : `died ${stage}`;
      throw weirError(
        'UNAVAILABLE',
        `the guest with kernel ${options.kernel.release} ${why}\n${complaint}console:\n${tailOf(result.console)}\n` +
          `output:\n${tailOf(result.stdout + result.stderr)}`,
        { details: result },
      );
    }
    const bootS = Number(/^booted ([\d.]+)$/m.exec(status)?.[1]);
    return { status: Number(exit), ...result, bootS, wallMs: performance.now() - started };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

// SPDX-License-Identifier: Apache-2.0
/**
 * BIRD beside the agent: started when it is needed and does not answer, given a new configuration without dropping what
 * stays the same in it, ended when nothing is wanted. It is a process of its own and goes on when the agent ends.
 */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isWeirError, weirError } from '@weir/errors';
import { controlCommand } from './control.ts';

const run = promisify(execFile);
const START_MS = 10_000;
const LOOK_MS = 50;
/** The path of a unix socket has at most 107 characters. */
const SOCKET_MAX = 107;

export interface DaemonOptions {
  /** bird */
  readonly binary: string;
  /** Of this host alone: configuration, socket, log. */
  readonly dir: string;
}

const isAway = (error: unknown): boolean => isWeirError(error) && error.code === 'UNAVAILABLE';

export class BgpDaemon {
  readonly #binary: string;
  readonly #dir: string;
  readonly logPath: string;
  readonly #config: string;
  readonly #socket: string;
  readonly #pid: string;

  constructor({ binary, dir }: DaemonOptions) {
    this.#binary = binary;
    this.#dir = dir;
    this.logPath = join(dir, 'bird.log');
    this.#config = join(dir, 'bird.conf');
    this.#socket = join(dir, 'bird.ctl');
    this.#pid = join(dir, 'bird.pid');
  }

  /** An earlier agent had one. */
  get mayRun(): boolean {
    return existsSync(this.#socket);
  }

  async isRunning(): Promise<boolean> {
    try {
      await controlCommand(this.#socket, 'show status');
      return true;
    } catch (error) {
      if (isAway(error)) return false;
      throw error;
    }
  }

  async lines(command: string): Promise<readonly string[]> {
    return (await controlCommand(this.#socket, command)).lines;
  }

  /**
   * Running with this configuration from now on. Says what it had to do. A text that the daemon refuses changes nothing of
   * what it does.
   */
  async apply(text: string): Promise<'started' | 'restarted' | 'reloaded' | 'unchanged'> {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const wasThere = existsSync(this.#pid);
    if (!(await this.isRunning())) {
      this.#write(this.#config, text);
      await this.#start(wasThere);
      return wasThere ? 'restarted' : 'started';
    }
    if (existsSync(this.#config) && readFileSync(this.#config, 'utf8') === text) return 'unchanged';
    const next = `${this.#config}.next`;
    this.#write(next, text);
    await controlCommand(this.#socket, `configure check "${next}"`);
    renameSync(next, this.#config);
    await controlCommand(this.#socket, 'configure');
    return 'reloaded';
  }

  /** Passwords are in it. */
  #write(path: string, text: string): void {
    writeFileSync(path, text, { mode: 0o600 });
    chmodSync(path, 0o600);
  }

  async #start(wasThere: boolean): Promise<void> {
    rmSync(this.#socket, { force: true });
    if (this.#socket.length > SOCKET_MAX) {
      throw weirError('INVALID_ARGUMENT', `${this.#socket} is too long for a socket`, {
        field: 'WEIR_AGENT_BGP_DIR',
        value: this.#dir,
        fix: 'use a shorter folder, such as /run/weir/bgp',
      });
    }
    // After a crash peers that keep our routes are told them before they are told that there are no more.
    const recovery = wasThere ? ['-R'] : [];
    try {
      // It goes into the background by itself.
      await run(this.#binary, [...recovery, '-c', this.#config, '-s', this.#socket, '-P', this.#pid], {
        env: { PATH: process.env.PATH ?? '', TZ: 'UTC' },
      });
    } catch (cause) {
      const { code, stderr } = cause as { code?: unknown; stderr?: string };
      throw code === 'ENOENT'
        ? weirError('UNAVAILABLE', `${this.#binary} is not there: this host speaks no BGP`, {
            field: 'WEIR_AGENT_BGP_DAEMON',
            value: this.#binary,
            fix: 'apt-get install bird2',
          })
        : weirError('INTERNAL', `${this.#binary} did not start: ${stderr?.trim() ?? cause}`, { cause });
    }
    const endMs = performance.now() + START_MS;
    while (!(await this.isRunning())) {
      if (performance.now() > endMs) {
        throw weirError('UNAVAILABLE', `${this.#binary} does not answer ${START_MS} ms after its start`, {
          fix: `look at ${this.logPath}`,
        });
      }
      await sleep(LOOK_MS);
    }
  }

  /** Its peers are told that it ends. */
  async end(): Promise<void> {
    try {
      await controlCommand(this.#socket, 'down');
    } catch (error) {
      if (!isAway(error)) throw error;
    }
    const endMs = performance.now() + START_MS;
    while ((await this.isRunning()) && performance.now() < endMs) await sleep(LOOK_MS);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

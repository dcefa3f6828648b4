// SPDX-License-Identifier: Apache-2.0
/** The agent's main.ts as a child of the test, in the test's own network namespace. */
import { type ChildProcess, spawn } from 'node:child_process';
import { request } from 'node:http';
import { createInterface } from 'node:readline';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

export class AgentProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  readonly ready: Promise<void>;
  readonly lines: string[] = [];

  constructor(env: Readonly<Record<string, string>>, ...args: string[]) {
    this.child = spawn(process.execPath, [MAIN, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    this.exited = new Promise((resolve) => this.child.once('exit', (code, signal) => resolve({ code, signal })));
    const input = createInterface({ input: this.child.stderr as NodeJS.ReadableStream });
    this.ready = new Promise((resolve, reject) => {
      input.on('line', (line) => {
        this.lines.push(line);
        if (process.env.WEIR_TEST_VERBOSE) process.stderr.write(`${line}\n`);
        if (line.includes('"msg":"ready"')) resolve();
      });
      void this.exited.then(() => reject(new Error(`the agent ended:\n${this.lines.slice(-10).join('\n')}`)));
    });
    this.ready.catch(() => {});
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null; signal: string | null }> {
    this.child.kill(signal);
    return this.exited;
  }
}

/** GET on the local API. */
export const askLocal = (socketPath: string, path: string): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath, path }, (response) => {
      let body = '';
      response.on('data', (data) => {
        body += data;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.once('error', reject);
    call.end();
  });

// SPDX-License-Identifier: Apache-2.0
/** BIRD's control socket: one command, its whole answer. Lines begin with a code of four digits; a blank after it ends the answer, a dash does not. */
import { connect } from 'node:net';
import { weirError } from '@weir/errors';

const TIMEOUT_MS = 5_000;
const LINE = /^(\d{4})([ -])(.*)$/;
/** Greeting of the daemon. */
const WELCOME = '0001';
/** From here on codes are errors. */
const ERRORS_FROM = 8_000;

export interface ControlAnswer {
  readonly code: number;
  /** Without codes; lines that continue one begin with a blank. */
  readonly lines: readonly string[];
}

/** Rejects with ENOENT or ECONNREFUSED as cause when nobody listens, and with FAILED_PRECONDITION when the daemon refuses. */
export const controlCommand = (path: string, command: string): Promise<ControlAnswer> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    const lines: string[] = [];
    let buffered = '';
    let isAsked = false;
    const end = (work: () => void): void => {
      socket.destroy();
      work();
    };
    const fail = (cause: Error): void =>
      end(() =>
        reject(weirError('UNAVAILABLE', `the BGP daemon did not answer on ${path}: ${cause.message}`, { cause })),
      );
    const take = (line: string): void => {
      const [, code, mark, text = ''] = LINE.exec(line) ?? [];
      if (code === undefined) {
        // A further line of the same code.
        lines.push(line.startsWith(' ') ? line.slice(1) : line);
        return;
      }
      if (!isAsked && code === WELCOME) {
        isAsked = true;
        socket.write(`${command}\n`);
        return;
      }
      lines.push(text);
      if (mark === '-') return;
      const number = Number(code);
      if (number < ERRORS_FROM) end(() => resolve({ code: number, lines }));
      else end(() => reject(weirError('INTERNAL', `the BGP daemon refused '${command}': ${lines.join(' ').trim()}`)));
    };
    socket.setTimeout(TIMEOUT_MS, () => fail(new Error(`nothing came in ${TIMEOUT_MS} ms`)));
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('it closed the connection')));
    socket.on('data', (chunk) => {
      buffered += chunk.toString('utf8');
      const parts = buffered.split('\n');
      buffered = parts.pop() ?? '';
      for (const part of parts) take(part);
    });
  });

// SPDX-License-Identifier: Apache-2.0
/** What one probe of a backend came to. */
export type Outcome = { readonly ok: true } | Failure;

export interface Failure {
  readonly ok: false;
  readonly reason: string;
  /** The backend, or its host, said something: a firewall on the way does not look like that. */
  readonly isAnswer: boolean;
}

/** Where a backend is asked. */
export interface Place {
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
}

export const OK: Outcome = { ok: true };
export const failed = (reason: string, isAnswer: boolean): Failure => ({ ok: false, reason, isAnswer });
export const noAnswer = (timeoutMs: number): Failure => failed(`no answer within ${timeoutMs} ms`, false);

/** Errors of sockets that the other side caused. */
const ANSWERS = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EPROTO']);

export const failedBy = (error: NodeJS.ErrnoException): Failure =>
  failed(error.code ?? error.message, ANSWERS.has(error.code ?? ''));

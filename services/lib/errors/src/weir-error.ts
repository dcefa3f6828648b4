// SPDX-License-Identifier: Apache-2.0
/**
 * The one error class that crosses layers. An error says what was tried, on what, why it failed and what
 * would work; the HTTP, gRPC and CLI edges each render the same facts.
 */
import { ERROR_CODES, type ErrorCode } from './codes.ts';

/** One thing wrong at one place of a document or request. Lines and columns count from 1. */
export interface FieldIssue {
  readonly path: string;
  readonly message: string;
  readonly value?: unknown;
  readonly fix?: string;
  readonly line?: number;
  readonly column?: number;
  readonly document?: string;
}

export interface WeirErrorFacts {
  readonly field?: string;
  readonly value?: unknown;
  readonly fix?: string;
  readonly line?: number;
  readonly column?: number;
  readonly issues?: readonly FieldIssue[];
  /** ETag of the object as it is, when a precondition failed. */
  readonly current?: string;
  /** Seconds after which trying again makes sense; becomes Retry-After. */
  readonly retryAfterS?: number;
  readonly cause?: unknown;
  /** Facts for logs and for programs, never secrets: {op, errno, verifierLog ...}. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class WeirError extends Error {
  readonly code: ErrorCode;
  readonly facts: WeirErrorFacts;

  constructor(code: ErrorCode, message: string, facts: WeirErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'WeirError';
    this.code = code;
    this.facts = facts;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  get grpcStatus(): number {
    return ERROR_CODES[this.code].grpc;
  }
}

export const weirError = (code: ErrorCode, message: string, facts?: WeirErrorFacts): WeirError =>
  new WeirError(code, message, facts);

export const isWeirError = (value: unknown): value is WeirError => value instanceof WeirError;

/** Wraps whatever was thrown; a foreign error becomes INTERNAL and keeps its cause. */
export const toWeirError = (value: unknown): WeirError => {
  if (isWeirError(value)) return value;
  return new WeirError('INTERNAL', 'an unexpected error occurred', { cause: value });
};

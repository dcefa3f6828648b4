// SPDX-License-Identifier: Apache-2.0
/**
 * Texts become documents without holding up the service: a megabyte of legal YAML takes seconds to read. What is short is
 * read at once; what is long goes to a worker thread with its own, bounded memory, one text after the other.
 */
import { Worker } from 'node:worker_threads';
import { weirError } from '@weir/errors';
import { MAX_BYTES, type ParseResult, type PolicyDocument, parseDocuments } from '@weir/policy-engine';
import type { ParseReply, ParseRequest } from './worker.ts';

export interface Parser {
  /** Throws TOO_LARGE; UNAVAILABLE when too many long texts wait already. */
  parse(text: string): Promise<ParseResult>;
  close(): Promise<void>;
}

/** The most expensive text of this length takes 60 ms. */
const AT_ONCE_BYTES = 32 << 10;
/** A second or two each. */
const WAITING_MAX = 16;
/** A legal megabyte needs a third of it. */
const WORKER_HEAP_MB = 512;

interface Job {
  readonly request: ParseRequest;
  readonly documents: PolicyDocument[];
  readonly resolve: (result: ParseResult) => void;
  readonly reject: (error: Error) => void;
}

const tooMuch = (cause: unknown): Error =>
  weirError('INVALID_ARGUMENT', 'the documents could not be read', {
    field: 'documents',
    fix: 'split them into several files',
    cause,
  });

export const createParser = (): Parser => {
  const jobs = new Map<number, Job>();
  let nextId = 0;
  let worker: Worker | undefined;

  /** Whatever was being read is what ended the worker; the others are given to the next one. */
  const replace = (ended: Worker, error: unknown): void => {
    if (worker !== ended) return;
    worker = undefined;
    const [broken, ...others] = [...jobs.values()];
    if (broken === undefined) return;
    jobs.delete(broken.request.id);
    broken.reject(tooMuch(error));
    for (const { request, documents } of others) {
      documents.length = 0;
      start().postMessage(request);
    }
  };

  const start = (): Worker => {
    if (worker !== undefined) return worker;
    const started = new Worker(new URL('./worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB },
    });
    started.on('message', (reply: ParseReply) => {
      const job = jobs.get(reply.id);
      if (job === undefined) return;
      if ('document' in reply) {
        job.documents.push(reply.document);
        return;
      }
      jobs.delete(reply.id);
      job.resolve({ documents: job.documents, issues: reply.done });
    });
    let failure: unknown;
    started.on('error', (error) => {
      failure = error;
    });
    started.on('exit', () => replace(started, failure));
    // Nobody waits for it when the service ends.
    started.unref();
    worker = started;
    return started;
  };

  return {
    parse: async (text) => {
      const bytes = Buffer.byteLength(text);
      // What is too large is refused before it is read.
      if (bytes <= AT_ONCE_BYTES || bytes > MAX_BYTES) return parseDocuments(text);
      if (jobs.size >= WAITING_MAX) {
        throw weirError('UNAVAILABLE', `${jobs.size} long texts are being read already`, {
          fix: 'try again later',
          retryAfterS: 2,
        });
      }
      return new Promise<ParseResult>((resolve, reject) => {
        const request = { id: nextId++, text };
        jobs.set(request.id, { request, documents: [], resolve, reject });
        start().postMessage(request);
      });
    },
    close: async () => {
      const ending = worker;
      worker = undefined;
      await ending?.terminate();
      for (const { reject } of jobs.values()) reject(weirError('UNAVAILABLE', 'the service ends', { retryAfterS: 1 }));
      jobs.clear();
    },
  };
};

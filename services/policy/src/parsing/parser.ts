// SPDX-License-Identifier: Apache-2.0
/**
 * Texts become documents, and documents diffs, without holding up the service: a megabyte of legal YAML takes seconds to
 * read. What is short is done at once; what is long goes to a worker thread with its own, bounded memory, one after the
 * other.
 */
import { Worker } from 'node:worker_threads';
import { weirError } from '@weir/errors';
import { type Finding, MAX_BYTES, type ParseResult, type PolicyDocument, parseDocuments } from '@weir/policy-engine';
import type { TextResult } from '@weir/policy-engine/reading';
import { parseRuntimePolicies, type RuntimePolicy } from '@weir/runtime-engine';
import { type DiffInput, diffOf } from '../domain/diff.ts';
import type { LintInput } from '../domain/lint.ts';
import { MORE, WINDOW, type WorkerReply, type WorkerRequest } from './worker.ts';

export interface Parser {
  /** Throws TOO_LARGE; UNAVAILABLE when too much waits already. */
  parse(text: string): Promise<ParseResult>;
  /** The same of runtime policies. */
  parseRuntime(text: string): Promise<TextResult<RuntimePolicy>>;
  /** Throws UNAVAILABLE when too much waits already. */
  diff(input: DiffInput): Promise<string>;
  /** In the worker, however little it is: rules are compared with each other. Throws UNAVAILABLE when too much waits already. */
  lint(input: LintInput): Promise<readonly Finding[]>;
  close(): Promise<void>;
}

/** The most expensive text of this length takes 60 ms. */
const AT_ONCE_BYTES = 32 << 10;
/** A second or two each. */
const WAITING_MAX = 16;
/** A legal megabyte needs a third of it. */
const WORKER_HEAP_MB = 512;

type Document = PolicyDocument | RuntimePolicy;

interface Job {
  readonly request: WorkerRequest;
  readonly documents: Document[];
  readonly resolve: (reply: Exclude<WorkerReply, { readonly document: Document }>) => void;
  readonly reject: (error: Error) => void;
}

const tooMuch = (cause: unknown): Error =>
  weirError('INVALID_ARGUMENT', 'the documents could not be read', {
    field: 'documents',
    fix: 'split them into several files',
    cause,
  });

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** Its worker starts at once: the first long text does not wait for a thread to load the engine. */
export const createParser = (): Parser => {
  const jobs = new Map<number, Job>();
  let nextId = 0;
  let worker: Worker | undefined;

  /** Whatever was being done is what ended the worker; the others are given to the next one. */
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

  const take = (from: Worker, reply: WorkerReply): void => {
    const job = jobs.get(reply.id);
    if (job === undefined) return;
    if ('document' in reply) {
      job.documents.push(reply.document);
      // In a turn of its own, so that others have theirs.
      if (job.documents.length % WINDOW === 0) setImmediate(() => from.postMessage(MORE));
      return;
    }
    jobs.delete(reply.id);
    job.resolve(reply);
  };

  const start = (): Worker => {
    if (worker !== undefined) return worker;
    const started = new Worker(new URL('./worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB },
    });
    started.on('message', (reply: WorkerReply) => take(started, reply));
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

  const ask = async (body: WithoutId<WorkerRequest>, documents: Document[] = []): Promise<WorkerReply> => {
    if (jobs.size >= WAITING_MAX) {
      throw weirError('UNAVAILABLE', `${jobs.size} long texts are being read already`, {
        fix: 'try again later',
        retryAfterS: 2,
      });
    }
    return new Promise<WorkerReply>((resolve, reject) => {
      const request: WorkerRequest = { id: nextId++, ...body };
      jobs.set(request.id, { request, documents, resolve, reject });
      start().postMessage(request);
    });
  };

  const read = async <T extends Document>(
    kind: 'parse' | 'parse-runtime',
    text: string,
    atOnce: (text: string) => TextResult<T>,
  ): Promise<TextResult<T>> => {
    const bytes = Buffer.byteLength(text);
    // What is too large is refused before it is read.
    if (bytes <= AT_ONCE_BYTES || bytes > MAX_BYTES) return atOnce(text);
    const documents: T[] = [];
    const reply = await ask({ kind, text }, documents);
    return { documents, issues: 'issues' in reply ? reply.issues : [] };
  };

  start();
  return {
    parse: (text) => read('parse', text, parseDocuments),
    parseRuntime: (text) => read('parse-runtime', text, parseRuntimePolicies),
    diff: async (input) => {
      const bytes = JSON.stringify([input.before, input.after]).length;
      if (bytes <= AT_ONCE_BYTES) return diffOf(input);
      const reply = await ask({ kind: 'diff', input });
      return 'diff' in reply ? reply.diff : '';
    },
    lint: async (input) => {
      const reply = await ask({ kind: 'lint', input });
      return 'findings' in reply ? reply.findings : [];
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

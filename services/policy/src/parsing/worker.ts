// SPDX-License-Identifier: Apache-2.0
/**
 * Reads and compares long texts, and looks for what is odd in many documents, away from the thread that answers requests. Documents go over a few at a time, the next
 * when the last were taken: taking a whole megabyte of them at once would hold up that thread nearly as long as a tenth
 * of the parsing.
 */
import { parentPort } from 'node:worker_threads';
import { type Finding, type ParseResult, type PolicyDocument, parseDocuments } from '@weir/policy-engine';
import { parseRuntimePolicies, type RuntimePolicy } from '@weir/runtime-engine';
import { type DiffInput, diffOf } from '../domain/diff.ts';
import { type LintInput, lintOf } from '../domain/lint.ts';

export type WorkerRequest =
  | { readonly id: number; readonly kind: 'parse' | 'parse-runtime'; readonly text: string }
  | { readonly id: number; readonly kind: 'diff'; readonly input: DiffInput }
  | { readonly id: number; readonly kind: 'lint'; readonly input: LintInput };

/** The documents that were sent are taken. */
export const MORE = 'more';

/** Documents between two `MORE`. */
export const WINDOW = 8;

/** To 'parse' and 'parse-runtime': `document` any number of times, then one `issues`. To 'diff': `diff`, to 'lint': `findings`. */
export type WorkerReply =
  | { readonly id: number; readonly document: PolicyDocument | RuntimePolicy }
  | { readonly id: number; readonly issues: ParseResult['issues'] }
  | { readonly id: number; readonly diff: string }
  | { readonly id: number; readonly findings: readonly Finding[] };

const serve = (port: NonNullable<typeof parentPort>): void => {
  let taken = (): void => {};
  const say = (reply: WorkerReply): void => port.postMessage(reply);
  const answer = async (request: WorkerRequest): Promise<void> => {
    const { id } = request;
    if (request.kind === 'diff') {
      say({ id, diff: diffOf(request.input) });
      return;
    }
    if (request.kind === 'lint') {
      say({ id, findings: lintOf(request.input) });
      return;
    }
    const { documents, issues } =
      request.kind === 'parse' ? parseDocuments(request.text) : parseRuntimePolicies(request.text);
    for (const [index, document] of documents.entries()) {
      say({ id, document });
      if ((index + 1) % WINDOW > 0) continue;
      await new Promise<void>((resolve) => {
        taken = resolve;
      });
    }
    say({ id, issues });
  };
  let last = Promise.resolve();
  port.on('message', (message: WorkerRequest | typeof MORE) => {
    if (message === MORE) taken();
    else last = last.then(() => answer(message));
  });
};

// The other side imports what they share.
if (parentPort !== null) serve(parentPort);

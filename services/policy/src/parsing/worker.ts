// SPDX-License-Identifier: Apache-2.0
/**
 * Parses long texts away from the thread that answers requests. Documents go over one by one: taking a whole megabyte
 * of them at once would hold up that thread nearly as long as a tenth of the parsing.
 */
import { parentPort } from 'node:worker_threads';
import { type ParseResult, type PolicyDocument, parseDocuments } from '@weir/policy-engine';

export interface ParseRequest {
  readonly id: number;
  readonly text: string;
}

/** `document` any number of times, then one `done`. */
export type ParseReply =
  | { readonly id: number; readonly document: PolicyDocument }
  | { readonly id: number; readonly done: ParseResult['issues'] };

const port = parentPort;
if (port === null) throw new Error('this file is run by parsing/parser.ts');
port.on('message', ({ id, text }: ParseRequest) => {
  const { documents, issues } = parseDocuments(text);
  const say = (reply: ParseReply): void => port.postMessage(reply);
  for (const document of documents) say({ id, document });
  say({ id, done: issues });
});

// SPDX-License-Identifier: Apache-2.0
/** Documents that are refused as a whole, with the place and the words of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDocuments } from '../src/index.ts';

/** What is wrong, the document, the path of what is told, and some of the message. */
export type Refusal = readonly [name: string, text: string, path: string, message: string];

export const testRefusal = ([name, text, path, message]: Refusal): void => {
  test(`refused: ${name}`, () => {
    const { issues, documents } = parseDocuments(text);
    assert.equal(documents.length, 0);
    const issue = issues.find((one) => one.path === path);
    assert.ok(issue, JSON.stringify(issues));
    assert.ok(issue.message.includes(message), issue.message);
    assert.ok((issue.line ?? 0) > 0 && (issue.column ?? 0) > 0, JSON.stringify(issue));
  });
};

// SPDX-License-Identifier: Apache-2.0
/**
 * A text of documents, whatever their kinds: read once, strictly, with the place of everything. Nothing hostile gets far: size is
 * checked before reading, nesting, tokens, aliases and numbers while reading.
 */
import { type FieldIssue, weirError } from '@weir/errors';
import { createIssues, createWarnings, type Issues } from './issues.ts';
import { looksLikeJson, readJson } from './json-source.ts';
import { fromPlain, type Located, MAX_DEPTH, MAX_NODES, MAX_TEXT_NODES } from './located.ts';
import { type Context, readList, readObject, scalarOf } from './reader.ts';
import { readYaml } from './yaml-source.ts';

export interface ParseOptions {
  /** Only names documents without a key in issues. */
  readonly filename?: string;
  readonly maxBytes?: number;
}

export interface TextResult<T> {
  readonly documents: readonly T[];
  readonly issues: readonly FieldIssue[];
}

interface Keyed {
  readonly key: string;
}

export interface TextReader<T extends Keyed> {
  readonly kinds: readonly string[];
  /** Undefined when something is wrong, which it has said. */
  readonly read: (node: Located, issues: Issues) => T | undefined;
}

export const MAX_BYTES = 1 << 20;

/** What `kubectl get -o yaml` writes: one document with all in `items`. */
const unfold = (node: Located, kinds: readonly string[], issues: Issues): { node: Located; path: string }[] => {
  const kind = node.kind === 'map' ? node.entries.get('kind')?.value : undefined;
  const lists = ['List', ...kinds.map((one) => `${one}List`)];
  if (node.kind !== 'map' || !kind || !lists.includes(String(scalarOf(kind)))) return [{ node, path: '' }];
  const context: Context = { issues, warnings: createWarnings(issues.locate) };
  const root = readObject(
    context,
    { node, keyAt: node.at, path: '' },
    { fields: ['apiVersion', 'kind', 'metadata', 'items'] },
  );
  const items = root?.get('items');
  return items ? (readList(context, items) ?? []) : [];
};

/** Before anything walks it: aliases can make a short text stand for more than there is memory. */
const isTooLarge = (node: Located, nodes: number, most: number, issues: Issues): boolean => {
  if (nodes <= most && node.depth <= MAX_DEPTH + 2) return false;
  const what = nodes > most ? `stands for more than ${most} values` : `is nested deeper than ${MAX_DEPTH} levels`;
  issues.add('', node.at, what, { fix: 'use fewer aliases, or split the document' });
  return true;
};

const readAll = <T extends Keyed>(
  roots: readonly Located[],
  issues: Issues,
  { kinds, read }: TextReader<T>,
  filename: string | undefined,
): T[] => {
  const documents: T[] = [];
  const seen = new Map<string, number>();
  let count = 0;
  let nodes = 0;
  for (const root of roots) {
    nodes += root.nodes;
    issues.setDocument(undefined, '');
    if (isTooLarge(root, nodes, MAX_TEXT_NODES, issues)) return documents;
    for (const { node, path } of unfold(root, kinds, issues)) {
      count++;
      issues.setDocument(`${filename ? `${filename} ` : ''}document ${count}`, path);
      if (isTooLarge(node, node.nodes, MAX_NODES, issues)) return documents;
      const document = read(node, issues);
      if (!document) continue;
      const first = seen.get(document.key);
      if (first === undefined) {
        seen.set(document.key, count);
        documents.push(document);
        continue;
      }
      issues.add('', node.at, `document ${count} has the same kind, namespace and name as document ${first}`, {
        value: document.key,
        fix: 'remove one of them, or give it another name',
      });
    }
  }
  return documents;
};

/** Throws only TOO_LARGE; everything else is an issue. */
export const readText = <T extends Keyed>(
  text: string,
  options: ParseOptions,
  reader: TextReader<T>,
): TextResult<T> => {
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  if (text.length > maxBytes || Buffer.byteLength(text) > maxBytes) {
    throw weirError('TOO_LARGE', `the documents have more than ${maxBytes} bytes`, {
      field: options.filename ?? 'documents',
      value: text.length,
      fix: 'split them into several files',
    });
  }
  const issues = createIssues(text);
  let roots: Located[] | undefined;
  if (looksLikeJson(text)) {
    const trial = createIssues(text);
    const root = readJson(text, trial);
    if (root) {
      issues.take(trial);
      roots = [root];
    }
  }
  roots ??= readYaml(text, issues);
  // What is wrong with the text itself (a key given twice, say) leaves no document to trust.
  const sound = issues.list.length === 0;
  const documents = readAll(roots, issues, reader, options.filename);
  if (roots.length === 0 && issues.list.length === 0) {
    issues.add('', 0, 'holds no policy document', { fix: `write a document of kind ${reader.kinds.join(', ')}` });
  }
  return { documents: sound ? documents : [], issues: issues.list };
};

/** One document as plain JSON, from the bus or the database; throws a WeirError when it is not valid. */
export const readPlain = <T>(json: unknown, read: (node: Located, issues: Issues) => T | undefined): T => {
  const issues = createIssues();
  const root = fromPlain(json, '', issues);
  const document = read(root, issues);
  if (document && issues.list.length === 0) return document;
  const [first] = issues.list;
  throw weirError('INVALID_ARGUMENT', first ? `${first.path}: ${first.message}` : 'the document is not valid', {
    field: first?.path,
    value: first?.value,
    fix: first?.fix ?? 'correct the document',
    issues: issues.list,
  });
};

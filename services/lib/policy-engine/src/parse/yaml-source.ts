// SPDX-License-Identifier: Apache-2.0
/**
 * YAML text -> located trees, one per document, read one after the other so that memory stays with the document at hand.
 * The library's lexer, parser and composer are driven step by step, because each has a cheap input that is expensive for it:
 * nesting, floods of tokens, floods of errors, keys compared pairwise, aliases of aliases. Each is bounded here; the first
 * syntax error ends the reading, since whatever follows it is guesswork.
 */
import { Composer, type CST, type Document, isAlias, isMap, isPair, isScalar, isSeq, Lexer, Parser } from 'yaml';
import type { Issues } from './issues.ts';
import { checkNumber, joinPath, type Located, list, MAX_DEPTH, mapBuilder, scalar } from './located.ts';

/** A token costs 2 us. A megabyte of ordinary policies has 300,000 to 500,000, one long policy 100,000. */
const MAX_TOKENS = 600_000;
const MAX_DOCUMENT_TOKENS = 150_000;
const MAX_DOCUMENTS = 10_000;

class Refused extends Error {
  readonly at: number;
  readonly fix: string;
  constructor(at: number, message: string, fix: string) {
    super(message);
    this.at = at;
    this.fix = fix;
  }
}

const FIXES: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  BAD_INDENT: 'align it with its siblings',
  MISSING_CHAR: 'add the missing character',
  DUPLICATE_KEY: 'remove one of them',
  TAG_RESOLVE_FAILED: 'remove the tag',
};

const syntaxError = (at: number, message: string, fix = 'correct the YAML syntax'): Refused =>
  new Refused(at, `is not valid YAML: ${message.replace(/\s+/g, ' ')}`, fix);

const tooMany = (at: number, what: string, most: number, unit: string): Refused =>
  new Refused(at, `${what} has more than ${most} ${unit}`, 'split it into several files');

/** The composer reports through this private field; the first report ends the reading. A test holds the library to it. */
const failOnFirstError = (composer: Composer): void => {
  const at = (source: unknown): number => {
    if (typeof source === 'number') return source;
    if (Array.isArray(source)) return Number(source[0]);
    return (source as { offset: number }).offset;
  };
  let first: Refused | undefined;
  (composer as unknown as { onError: unknown }).onError = (source: unknown, code: string, message: string) => {
    // The library catches some errors only to report them again.
    first ??= syntaxError(at(source), message, FIXES[code]);
    throw first;
  };
};

function* composeDocuments(text: string): Generator<Document.Parsed> {
  const lexer = new Lexer();
  const parser = new Parser();
  const composer = new Composer({ uniqueKeys: false, prettyErrors: false, logLevel: 'silent', merge: false });
  failOnFirstError(composer);
  let tokens = 0;
  let documentStart = 0;
  let documents = 0;
  const compose = function* (cst: Iterable<CST.Token>): Generator<Document.Parsed> {
    for (const token of cst) {
      if (token.type === 'error') throw syntaxError(token.offset, token.message);
      for (const document of composer.next(token)) {
        documentStart = tokens;
        if (++documents > MAX_DOCUMENTS) throw tooMany(parser.offset, 'the text', MAX_DOCUMENTS, 'documents');
        yield document as Document.Parsed;
      }
    }
  };
  for (const lexeme of lexer.lex(text)) {
    if (++tokens > MAX_TOKENS) throw tooMany(parser.offset, 'the text', MAX_TOKENS, 'tokens');
    if (tokens - documentStart > MAX_DOCUMENT_TOKENS) {
      throw tooMany(parser.offset, 'the document', MAX_DOCUMENT_TOKENS, 'tokens');
    }
    yield* compose(parser.next(lexeme));
    if (parser.stack.length > MAX_DEPTH) {
      throw new Refused(parser.offset, `is nested deeper than ${MAX_DEPTH} levels`, 'flatten the document');
    }
  }
  yield* compose(parser.end());
  yield* composer.end() as Generator<Document.Parsed>;
}

interface YamlNode {
  readonly range?: readonly [number, number, number] | null;
  readonly anchor?: string;
  readonly tag?: string;
}

const convert = (document: Document.Parsed, issues: Issues): Located => {
  // In document order: an anchor can be used only behind its node, so a circle cannot be built.
  const anchors = new Map<string, Located>();
  const node = (part: unknown, path: string, fallback: number): Located => {
    const at = (part as YamlNode | null)?.range?.[0] ?? fallback;
    let located: Located;
    if (part === null || part === undefined) located = scalar(fallback, null);
    else if (isAlias(part)) {
      const target = anchors.get(part.source);
      if (!target)
        throw new Refused(at, `the alias *${part.source} has no finished anchor before it`, 'write the value out');
      return target;
    } else if (isMap(part)) {
      const builder = mapBuilder(at, path, issues);
      for (const pair of part.items) {
        if (!isPair(pair)) continue;
        const keyAt = (pair.key as YamlNode | null)?.range?.[0] ?? at;
        const key = isScalar(pair.key) ? pair.key.value : undefined;
        if (typeof key !== 'string') {
          issues.add(path, keyAt, 'a key is not text', { value: key ?? null, fix: 'put the key in quotes' });
          continue;
        }
        builder.add(key, keyAt, node(pair.value, joinPath(path, key), keyAt));
      }
      located = builder.done();
    } else if (isSeq(part)) {
      located = list(
        at,
        part.items.map((item, index) => node(item, `${path}[${index}]`, at)),
      );
    } else if (isScalar(part)) {
      const { value } = part;
      if (typeof value === 'number') checkNumber(value, part.source ?? String(value), at, path, issues);
      if (value !== null && !['string', 'number', 'boolean'].includes(typeof value)) {
        throw new Refused(at, `the tag ${part.tag ?? ''} gives no JSON value`, 'remove the tag');
      }
      located = scalar(at, value as string | number | boolean | null);
    } else throw new Refused(at, 'is not a YAML value', 'correct the YAML syntax');
    const anchor = (part as YamlNode | null)?.anchor;
    if (anchor) anchors.set(anchor, located);
    return located;
  };
  return node(document.contents, '', document.range[0]);
};

/** Documents in order; empty ones are left out. What is wrong goes into `issues`, and the reading ends there. */
export const readYaml = (text: string, issues: Issues): Located[] => {
  const documents: Located[] = [];
  try {
    for (const document of composeDocuments(text)) {
      const error = document.errors[0] ?? document.warnings[0];
      if (error) throw syntaxError(error.pos[0], error.message, FIXES[error.code]);
      const located = convert(document, issues);
      if (located.kind !== 'scalar' || located.value !== null) documents.push(located);
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    issues.add('', error.at, error.message, { fix: error.fix });
  }
  return documents;
};

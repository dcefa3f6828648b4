// SPDX-License-Identifier: Apache-2.0
/** A case file, whichever of the three formats each of its cases is in: what a case holds says which one. */
import { readFileSync } from 'node:fs';
import { isWeirError, weirError } from '@weir/errors';
import type { Case, InvalidPolicy, PatternCase, Suite } from '../case.ts';
import { FLOW_FIELDS, type FlowWorld, flowCase, flowWorld } from './flows.ts';
import { MATRIX_FIELDS, matrixCase } from './matrix.ts';
import { json, list, object, text, type Value, wrong } from './value.ts';

const PATTERN_FIELDS = ['name', 'tags', 'pattern', 'accept', 'reject'];

const patternCase = (of: Value): PatternCase => {
  const fields = object(of, PATTERN_FIELDS);
  const names = (field: 'accept' | 'reject'): string[] => {
    const value = fields.get(field);
    return value ? list(value).map(text) : [];
  };
  const pattern = text(fields.need('pattern'));
  const name = fields.get('name');
  return { name: name ? text(name) : pattern, pattern, accept: names('accept'), reject: names('reject') };
};

const invalidPolicy = (of: Value, index: number): InvalidPolicy => {
  const fields = object(of, ['name', 'policy', 'why', 'tags']);
  const name = fields.get('name');
  const why = fields.get('why');
  return {
    name: name ? text(name) : `invalid ${index + 1}`,
    policy: json(fields.need('policy')),
    why: why ? text(why) : '',
  };
};

const has = (of: Value, name: string): boolean =>
  typeof of.value === 'object' && of.value !== null && Object.hasOwn(of.value, name);

/** Takes the parsed JSON; throws INVALID_ARGUMENT with the path of the first thing that cannot be read. */
export const readSuite = (document: unknown, file: string): Suite => {
  const notes: string[] = [];
  const root: Value = { value: document, path: '', note: (path, about) => notes.push(`${path} ${about}`) };
  const fields = object(root, ['cases', 'invalid', 'meta', 'name', 'tags', 'format', 'version', 'report']);
  if (!fields.get('cases') && !fields.get('invalid'))
    wrong({ value: undefined, path: 'cases' }, 'is missing', 'add cases or invalid');
  const meta = fields.get('meta');
  let world: FlowWorld | undefined;
  const worldOf = (of: Value): FlowWorld => {
    if (!meta) return wrong({ value: undefined, path: 'meta.world' }, `is missing, and ${of.path} needs it`, 'add it');
    world ??= flowWorld(meta);
    return world;
  };
  const cases: Case[] = [];
  const patterns: PatternCase[] = [];
  const written = fields.get('cases');
  for (const [index, of] of (written ? list(written) : []).entries()) {
    if (has(of, 'pattern')) patterns.push(patternCase(of));
    else if (has(of, 'flows')) cases.push(flowCase(of, index, worldOf(of)));
    else if (has(of, 'layout') || has(of, 'steps')) cases.push(matrixCase(of, index));
    else {
      const known = [...new Set([...MATRIX_FIELDS, ...FLOW_FIELDS, ...PATTERN_FIELDS])];
      object(of, known);
      wrong(of, 'is in none of the formats', 'give it layout and steps, flows, or pattern');
    }
  }
  const invalid: InvalidPolicy[] = [];
  const invalidPatterns: string[] = [];
  const refused = fields.get('invalid');
  for (const [index, of] of (refused ? list(refused) : []).entries()) {
    if (typeof of.value === 'string') invalidPatterns.push(of.value);
    else if (has(of, 'pattern')) invalidPatterns.push(text(object(of, ['pattern', 'name']).need('pattern')));
    else invalid.push(invalidPolicy(of, index));
  }
  return { file, cases, invalid, patterns, invalidPatterns, notes };
};

export const readFile = (file: string): Suite => {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw weirError('MALFORMED', `${file} cannot be read: ${(error as Error).message}`, {
      field: 'FILE',
      value: file,
      fix: 'name a file of JSON cases',
    });
  }
  try {
    return readSuite(document, file);
  } catch (error) {
    if (!isWeirError(error)) throw error;
    throw weirError(error.code, `${file}: ${error.message}`, error.facts);
  }
};

// SPDX-License-Identifier: Apache-2.0
/**
 * Checks requests against their schemas, and says of each thing wrong where it is, what was found and what would
 * work. Bodies are taken literally: "5" is no number and unknown fields are errors. Path, query and headers are text
 * by nature, so there "5" is a number, and one value may stand for a list of one.
 */
import { type FieldIssue, nearest, type WeirError, weirError } from '@weir/errors';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import type { Static, TSchema } from 'typebox';
import { FieldIssueSchema } from './schemas.ts';

/** More is noise to a reader and work for an attacker to cause. */
const ISSUES_MAX = 50;
const VALUE_MAX_LENGTH = 200;

const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default;

export const createAjv = (options: { readonly coerce: boolean; readonly schemas?: readonly TSchema[] }): Ajv2020 => {
  const ajv = new Ajv2020({
    allErrors: true,
    coerceTypes: options.coerce ? 'array' : false,
    useDefaults: true,
    removeAdditional: false,
    strict: false,
    verbose: true,
    // of ours, and looked at by tests (compilers.ts): what looks at schemas is itself a schema that takes long to compile
    validateSchema: false,
  });
  addFormats(ajv);
  for (const schema of new Set([FieldIssueSchema, ...(options.schemas ?? [])])) ajv.addSchema(schema);
  return ajv;
};

/** `/labels/app~1name` and `/ports/0` become `labels.app/name` and `ports[0]`. */
export const fieldPath = (pointer: string, property?: string): string => {
  const parts = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (property !== undefined) parts.push(property);
  return parts.reduce(
    (path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`),
    '',
  );
};

/** What a reader probably meant, or everything that would be accepted. */
export const suggest = (given: string, known: readonly string[]): string => {
  const meant = nearest(given, known);
  if (meant !== undefined) return `did you mean ${meant}?`;
  return known.length === 0 ? 'leave it out' : `use one of: ${known.slice(0, 40).join(', ')}`;
};

const shorten = (value: unknown): unknown => {
  if (typeof value === 'string')
    return value.length > VALUE_MAX_LENGTH ? `${value.slice(0, VALUE_MAX_LENGTH)}…` : value;
  if (typeof value !== 'object' || value === null) return value;
  const json = JSON.stringify(value);
  return json.length > VALUE_MAX_LENGTH ? `${json.slice(0, VALUE_MAX_LENGTH)}…` : value;
};

const describe = (error: ErrorObject): { message: string; fix?: string } => {
  const { keyword, params } = error;
  const schema = error.parentSchema as { description?: string; properties?: object; examples?: unknown[] } | undefined;
  const expected = schema?.description;
  switch (keyword) {
    case 'type':
      return { message: `must be of type ${params.type}`, fix: expected ?? `give a value of type ${params.type}` };
    case 'pattern':
    case 'format':
      return {
        message: keyword === 'format' ? `is not a valid ${params.format}` : 'does not have the right form',
        fix: expected ?? (keyword === 'format' ? `give a ${params.format}` : `must match ${params.pattern}`),
      };
    case 'enum':
      return { message: 'is not one of the values known here', fix: suggest(String(error.data), params.allowedValues) };
    case 'const':
      return { message: 'is not the value needed here', fix: `use ${JSON.stringify(params.allowedValue)}` };
    case 'minimum':
    case 'exclusiveMinimum':
    case 'maximum':
    case 'exclusiveMaximum':
      return {
        message: `must be ${params.comparison} ${params.limit}`,
        fix: `give a number ${params.comparison} ${params.limit}`,
      };
    case 'minLength':
      return {
        message: params.limit === 1 ? 'must not be empty' : `must have ${params.limit} characters at least`,
        fix: expected,
      };
    case 'maxLength':
      return { message: `must have ${params.limit} characters at most`, fix: expected ?? 'shorten it' };
    case 'minItems':
      return { message: `must have ${params.limit} items at least`, fix: expected };
    case 'maxItems':
      return { message: `must have ${params.limit} items at most`, fix: 'split it into several requests' };
    default:
      return { message: error.message ?? 'is not valid', fix: expected };
  }
};

const literals = (error: ErrorObject): string[] | undefined => {
  const options = (error.parentSchema as { anyOf?: { const?: unknown }[] } | undefined)?.anyOf;
  const values = options?.map((option) => option.const).filter((value) => value !== undefined);
  return values && values.length === options?.length ? values.map(String) : undefined;
};

const toIssue = (error: ErrorObject): FieldIssue => {
  if (error.keyword === 'required') {
    return {
      path: fieldPath(error.instancePath, error.params.missingProperty),
      message: 'is missing',
      fix: `give ${error.params.missingProperty}`,
    };
  }
  if (error.keyword === 'additionalProperties' || error.keyword === 'unevaluatedProperties') {
    const name: string = error.params.additionalProperty ?? error.params.unevaluatedProperty;
    const known = Object.keys((error.parentSchema as { properties?: object } | undefined)?.properties ?? {});
    return {
      path: fieldPath(error.instancePath, name),
      message: 'is not a known field',
      value: shorten((error.data as Record<string, unknown> | undefined)?.[name]),
      fix: suggest(name, known),
    };
  }
  const choices = error.keyword === 'anyOf' ? literals(error) : undefined;
  const text = choices
    ? { message: 'is not one of the values known here', fix: suggest(String(error.data), choices) }
    : describe(error);
  return { path: fieldPath(error.instancePath), value: shorten(error.data), ...text };
};

/** A union that failed reports each branch; the union's own line says it all when it is one of literals. */
const withoutBranches = (errors: readonly ErrorObject[]): ErrorObject[] => {
  const unions = errors.filter((error) => error.keyword === 'anyOf' && literals(error));
  return errors.filter(
    (error) => !unions.some((union) => union !== error && error.schemaPath.startsWith(`${union.schemaPath}/`)),
  );
};

export const toIssues = (errors: readonly ErrorObject[]): FieldIssue[] =>
  withoutBranches(errors).slice(0, ISSUES_MAX).map(toIssue);

/** One error for all that is wrong; with a single thing it names that directly. */
export const issuesError = (issues: readonly FieldIssue[], where = ''): WeirError => {
  const [first] = issues;
  const at = (issue: FieldIssue): string => issue.path || where || 'the body';
  const message = first === undefined ? 'the request is not valid' : `${at(first)} ${first.message}`;
  return weirError('INVALID_ARGUMENT', issues.length > 1 ? `${message} (and ${issues.length - 1} more)` : message, {
    ...(first === undefined ? {} : { field: at(first), value: first.value, fix: first.fix }),
    issues,
  });
};

let strict: Ajv2020 | undefined;
const compiled = new WeakMap<object, ValidateFunction>();

/** Checks a value that did not come over HTTP (gRPC, bus) as strictly as a body. */
export const checked = <S extends TSchema>(schema: S, value: unknown): Static<S> => {
  strict ??= createAjv({ coerce: false });
  let validate = compiled.get(schema);
  if (validate === undefined) {
    // Without its name: names are unique in an Ajv, schemas may come twice.
    validate = strict.compile({ ...schema, $id: undefined });
    compiled.set(schema, validate);
  }
  if (!validate(value)) throw issuesError(toIssues(validate.errors ?? []));
  return value as Static<S>;
};

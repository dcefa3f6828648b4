// SPDX-License-Identifier: Apache-2.0
/**
 * Configuration from the environment, parsed once into typed values. `maxRows` of prefix ANALYTICS is read from
 * WEIR_ANALYTICS_MAX_ROWS. A variable under the prefix that the schema does not know is an error, since a
 * misspelt setting that is silently ignored is worse than a service that does not start. Everything wrong is told
 * at once, each with variable, value and fix; values of secrets are not repeated.
 */
import { type FieldIssue, nearest, weirError } from '@weir/errors';
import type { Static, TObject, TSchema } from 'typebox';
import { Check } from 'typebox/schema';

interface SettingSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly env?: string;
  readonly secret?: boolean;
  readonly items?: TSchema;
}

const TRUE = new Set(['1', 'true', 'yes', 'on']);
const FALSE = new Set(['0', 'false', 'no', 'off']);

/** natsUrl -> NATS_URL, pool4 -> POOL4. */
const upperSnake = (key: string): string => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();

const namespaceOf = (prefix: string): string => `WEIR_${prefix === '' ? '' : `${prefix.toUpperCase()}_`}`;

/** Name of the variable that a setting is read from. */
export const variableOf = (schema: TObject, key: string, prefix: string): string =>
  (schema.properties as Record<string, SettingSchema>)[key]?.env ?? `${namespaceOf(prefix)}${upperSnake(key)}`;

/** Text of a variable as the type that the schema wants; what does not fit stays text and fails the check. */
const convert = (schema: SettingSchema, text: string): unknown => {
  switch (schema.type) {
    case 'integer':
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
    case 'boolean':
      return TRUE.has(text.toLowerCase()) ? true : FALSE.has(text.toLowerCase()) ? false : text;
    case 'array': {
      const parts = text.split(',').map((part) => part.trim());
      return parts.filter((part) => part !== '').map((part) => convert((schema.items ?? {}) as SettingSchema, part));
    }
    default:
      return text;
  }
};

const unknownFix = (name: string, known: readonly string[]): string => {
  const meant = nearest(name, known);
  return meant === undefined ? `unset it; known are ${known.join(', ')}` : `did you mean ${meant}? Otherwise unset it`;
};

const constraint = (schema: SettingSchema & Record<string, unknown>): string => {
  const limits = [
    schema.minimum === undefined ? '' : `at least ${schema.minimum}`,
    schema.maximum === undefined ? '' : `at most ${schema.maximum}`,
    schema.pattern === undefined ? '' : `matching ${schema.pattern}`,
  ].filter((text) => text !== '');
  return [`a value of type ${schema.type ?? 'text'}`, ...limits].join(', ');
};

/**
 * `prefix` is the service's part of the name, such as INVENTORY. A setting may name its variable itself with the
 * option `env` (see settings.ts); those are shared between services and stand outside the prefix.
 */
export const loadConfig = <S extends TObject>(
  schema: S,
  env: Readonly<Record<string, string | undefined>> = process.env,
  prefix = '',
): Static<S> => {
  const namespace = namespaceOf(prefix);
  const properties = schema.properties as Record<string, SettingSchema & Record<string, unknown>>;
  const known = Object.keys(properties).map((key) => variableOf(schema, key, prefix));
  const issues: FieldIssue[] = [];

  for (const name of Object.keys(env)) {
    if (prefix === '' || !name.startsWith(namespace) || known.includes(name)) continue;
    issues.push({ path: name, message: 'is not a known setting', fix: unknownFix(name, known) });
  }

  const required = new Set(schema.required as readonly string[] | undefined);
  const config: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(properties)) {
    const variable = variableOf(schema, key, prefix);
    const text = env[variable];
    if (text === undefined || text === '') {
      if (setting.default !== undefined) config[key] = setting.default;
      else if (required.has(key))
        issues.push({ path: variable, message: 'is not set', fix: `set it: ${setting.description ?? key}` });
      continue;
    }
    const value = convert(setting, text);
    if (Check(setting as TSchema, value)) {
      config[key] = value;
      continue;
    }
    issues.push({
      path: variable,
      message: 'is not valid',
      ...(setting.secret ? {} : { value: text }),
      fix:
        setting.description === undefined
          ? `give ${constraint(setting)}`
          : `give ${constraint(setting)}: ${setting.description}`,
    });
  }

  const [first] = issues;
  if (first !== undefined) {
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
    throw weirError('INVALID_ARGUMENT', `the setting ${first.path} ${first.message}${more}`, {
      field: first.path,
      value: first.value,
      fix: first.fix,
      issues,
    });
  }
  return config as Static<S>;
};

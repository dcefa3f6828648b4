// SPDX-License-Identifier: Apache-2.0
/**
 * The configuration file: named contexts, each with the addresses of a fleet's services. WEIR_CONFIG names it; else it is
 * weir/config.yaml in XDG_CONFIG_HOME or ~/.config. What the environment says goes before it.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { CliFailure, EXIT } from './failure.ts';

export const SERVICE_NAMES = ['inventory', 'policy', 'analytics'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Settings {
  readonly 'current-context'?: string;
  readonly contexts: Readonly<Record<string, Readonly<Partial<Record<ServiceName, string>>>>>;
}

const KEY = /^(current-context|contexts\.[A-Za-z0-9][A-Za-z0-9_-]*\.(?:inventory|policy|analytics))$/;
const KEYS = 'current-context and contexts.NAME.inventory, .policy, .analytics';

export const settingsPath = (env: Environment): string =>
  env.WEIR_CONFIG ?? join(env.XDG_CONFIG_HOME ?? join(env.HOME ?? homedir(), '.config'), 'weir', 'config.yaml');

const wrong = (path: string, why: string): CliFailure =>
  new CliFailure(EXIT.usage, `error: ${path}: ${why}\n  fix: it holds ${KEYS}; weir config set writes it`);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every leaf by its key; told what is not one. */
const leavesOf = (path: string, value: unknown, prefix = ''): [string, string][] => {
  if (typeof value === 'string') {
    if (!KEY.test(prefix)) throw wrong(path, `there is no setting ${prefix}`);
    return [[prefix, value]];
  }
  if (!isObject(value)) throw wrong(path, `${prefix || 'it'} is ${JSON.stringify(value)}`);
  return Object.entries(value).flatMap(([key, below]) => leavesOf(path, below, prefix ? `${prefix}.${key}` : key));
};

const nested = (leaves: ReadonlyMap<string, string>): Settings => {
  const contexts: Record<string, Record<string, string>> = {};
  for (const [key, value] of leaves) {
    const [, name = '', service = ''] = /^contexts\.([^.]+)\.(.+)$/.exec(key) ?? [];
    if (name !== '') contexts[name] = { ...contexts[name], [service]: value };
  }
  const current = leaves.get('current-context');
  return { ...(current === undefined ? {} : { 'current-context': current }), contexts };
};

const readLeaves = (env: Environment): Map<string, string> => {
  const path = settingsPath(env);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw wrong(path, (error as Error).message);
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw wrong(path, (error as Error).message);
  }
  return new Map(value === null ? [] : leavesOf(path, value));
};

export const readSettings = (env: Environment): Settings => nested(readLeaves(env));

const checkKey = (key: string): void => {
  if (!KEY.test(key)) throw new CliFailure(EXIT.usage, `error: there is no setting ${key}; there are ${KEYS}`);
};

export const getSetting = (env: Environment, key: string): string | undefined => {
  checkKey(key);
  return readLeaves(env).get(key);
};

/** `value` undefined: as if it had never been set. */
export const setSetting = (env: Environment, key: string, value: string | undefined): void => {
  checkKey(key);
  if (value !== undefined && key !== 'current-context' && !(URL.canParse(value) && /^https?:/.test(value))) {
    throw new CliFailure(EXIT.usage, `error: ${key}: ${value} is not an http URL, such as http://127.0.0.1:7101`);
  }
  const leaves = readLeaves(env);
  if (value === undefined) leaves.delete(key);
  else leaves.set(key, value);
  const path = settingsPath(env);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, stringify(nested(leaves)), { mode: 0o600 });
  renameSync(`${path}.new`, path);
};

/** Addresses of the context that is chosen: by WEIR_CONTEXT, else by the file. */
export const contextUrls = (env: Environment): Readonly<Partial<Record<ServiceName, string>>> => {
  const { contexts, 'current-context': current } = readSettings(env);
  const name = env.WEIR_CONTEXT ?? current;
  if (name === undefined) return {};
  const found = contexts[name];
  if (found === undefined) {
    const known = Object.keys(contexts).join(', ') || 'none';
    throw new CliFailure(
      EXIT.usage,
      `error: there is no context ${name}; known: ${known}\n  fix: weir config set contexts.${name}.inventory URL`,
    );
  }
  return found;
};

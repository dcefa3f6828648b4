// SPDX-License-Identifier: Apache-2.0
/** `weir config`: the file with the contexts. */
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { toYaml } from '../output/safe.ts';
import { getSetting, readSettings, setSetting, settingsPath } from '../settings.ts';

export const viewConfig = (context: Context): void => {
  context.err(`# ${settingsPath(context.env)}`);
  context.out(toYaml(readSettings(context.env)));
};

export const getConfig = (context: Context, key: string): void => {
  const value = getSetting(context.env, key);
  if (value === undefined) throw new CliFailure(EXIT.failed, `error: ${key} is not set`);
  context.out(value);
};

export const setConfig = (context: Context, key: string, value: string | undefined): void =>
  setSetting(context.env, key, value);

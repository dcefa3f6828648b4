// SPDX-License-Identifier: Apache-2.0
/** A program's settings as the table of its README, made of their schema, so that none is missing or wrong there. */
import type { TObject } from 'typebox';
import { variableOf } from './load-config.ts';

const BEGIN = '<!-- settings: made of src/config.ts, WEIR_UPDATE=1 in its test writes it -->';
const END = '<!-- end of settings -->';

interface Described {
  readonly description?: string;
  readonly default?: unknown;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

export const settingsTable = (schema: TObject, prefix: string): string => {
  const required = new Set(schema.required as readonly string[] | undefined);
  const rows = Object.entries(schema.properties as Record<string, Described>).map(([key, setting]) => {
    const fallback =
      setting.default === undefined
        ? required.has(key)
          ? 'needed'
          : 'none'
        : `\`${JSON.stringify(setting.default)}\``;
    return `| \`${variableOf(schema, key, prefix)}\` | ${cell(fallback)} | ${cell(setting.description ?? '')} |`;
  });
  return ['| variable | default | |', '| --- | --- | --- |', ...rows].join('\n');
};

/** `readme` with its table as it should be; a README without the two marks gets it at its end. */
export const withSettingsTable = (readme: string, schema: TObject, prefix: string): string => {
  const block = `${BEGIN}\n${settingsTable(schema, prefix)}\n${END}`;
  const [from, to] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (from < 0 || to < from) return `${readme.trimEnd()}\n\n## Every setting\n\n${block}\n`;
  return `${readme.slice(0, from)}${block}${readme.slice(to + END.length)}`;
};

// SPDX-License-Identifier: Apache-2.0
/** drop-reasons.ts: number -> name and text. */
import { header, quote } from './emit.ts';
import type { DropReason } from './model.ts';

export const emitDrops = (drops: readonly DropReason[]): string =>
  `${header('Drop reasons by number, with the text that users see.')}
export interface DropText {
  readonly name: string;
  readonly text: string;
}

export const DROP_TEXT: Readonly<Record<number, DropText>> = {
${drops.map(({ number, name, text }) => `  ${number}: { name: ${quote(name)}, text: ${quote(text)} },`).join('\n')}
};
`;

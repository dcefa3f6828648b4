// SPDX-License-Identifier: Apache-2.0
/** Values of options, checked where the words are read. */
import { InvalidArgumentError } from 'commander';

export const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** Names between commas; given again, more of them. */
export const list = (value: string, previous: string[] = []): string[] => [
  ...previous,
  ...value.split(',').map((name) => name.trim()),
];

export const positive = (value: string): number => {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('give a whole number from 1.');
  return number;
};

// SPDX-License-Identifier: Apache-2.0
import { constants } from 'node:os';

const NAMES = new Map<number, string>(
  // SIGIOT is SIGABRT, SIGPOLL is SIGIO: the first of each number is the usual name
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/** '' for 0; SIG<number> for real-time signals. */
export const signalName = (signal: number): string => (signal === 0 ? '' : (NAMES.get(signal) ?? `SIG${signal}`));

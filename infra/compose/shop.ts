// SPDX-License-Identifier: Apache-2.0
/**
 * The customers of the compose fleet: every few seconds each conversation of the demo is tried from inside its workload,
 * and what came out is printed when it is different from the time before.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Conversation, describe } from '../demo/scenario.ts';
import { conversations, tryOut } from './conversation.ts';

const EVERY_MS = 5_000;

const last = new Map<Conversation, string>();
for (; ; await sleep(EVERY_MS)) {
  for (const conversation of conversations) {
    const outcome = await tryOut(conversation).then(
      (result) => result.outcome,
      (error: Error) => `not tried: ${error.message}`,
    );
    if (last.get(conversation) !== outcome) process.stdout.write(`${describe(conversation)}  ${outcome}\n`);
    last.set(conversation, outcome);
  }
  writeFileSync('/tmp/shop.round', '');
}

// SPDX-License-Identifier: Apache-2.0
/**
 * Lets the workloads' programs see what sockets and clients outside asked for, so that flows can name services, and what becomes of
 * answers to packets that were translated. The map in between is theirs and pinned; while there are no services it is empty, and looking there costs them next to nothing.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type BpfObject, openPinnedMap } from '@weir/loader';

const SOCKETS = 'asked_sockets';
export const MAPPINGS = 'asked_mappings';
export const TURNS = 'asked_turns';
export const SOURCES = 'source_mappings';
const SLOT = Buffer.alloc(4);

/** `object`: that of the sockets' programs, with its maps. */
export const showAsked = (object: BpfObject): void =>
  object.map(SOCKETS).updateInner(SLOT, object.map('service_reverse'));

/** `object`: that of the workloads' program that looks for services. */
export const showTurns = (object: BpfObject): void => object.map(TURNS).updateInner(SLOT, object.map('service_turns'));

/**
 * `object`: that of the uplinks' programs. As MAPPINGS when clients outside are served; as SOURCES so that flows can say what
 * addresses become.
 */
export const showMappings = (
  bpffsDir: string,
  object: BpfObject,
  name: typeof MAPPINGS | typeof SOURCES = MAPPINGS,
): void => {
  const pin = join(bpffsDir, name);
  if (!existsSync(pin)) return;
  const asked = openPinnedMap(pin);
  asked.updateInner(SLOT, object.map('nat_out'));
  asked.close();
};

/** What sockets, or clients outside, asked for may go: it would stay as long as anybody could see it. */
export const forgetAsked = (
  bpffsDir: string,
  name: typeof SOCKETS | typeof MAPPINGS | typeof TURNS | typeof SOURCES = SOCKETS,
): void => {
  const pin = join(bpffsDir, name);
  if (!existsSync(pin)) return;
  const asked = openPinnedMap(pin);
  if (asked.lookupInnerId(SLOT) !== undefined) asked.delete(SLOT);
  asked.close();
};

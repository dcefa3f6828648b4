// SPDX-License-Identifier: Apache-2.0
/**
 * How a backend may go from one state to another. Weight and state hang together: weight 0 is maintenance, whoever gives
 * a weight to a backend that had none makes it active. Terminating is final: whoever ends does not come back.
 */
import { weirError } from '@weir/errors';
import { type BackendState, WEIGHT_DEFAULT } from './services.ts';

const NEXT: Readonly<Record<BackendState, readonly BackendState[]>> = {
  active: ['terminating', 'terminating-not-serving', 'quarantined', 'maintenance'],
  quarantined: ['active', 'terminating', 'terminating-not-serving'],
  maintenance: ['active'],
  terminating: ['terminating-not-serving'],
  'terminating-not-serving': [],
};

export interface Standing {
  readonly state: BackendState;
  readonly weight: number;
}

const refuse = (field: string, from: BackendState, to: BackendState): Error => {
  const next = NEXT[from];
  return weirError('CONFLICT', `${field} ${to}: a backend that is ${from} can't become ${to}`, {
    field,
    value: to,
    fix:
      next.length === 0 || from === 'terminating'
        ? `${from} is final: take the backend out, and add it again when it has come back`
        : `from ${from} it can become ${next.join(' or ')}`,
  });
};

/** What becomes of `now` when `asked` is asked; throws CONFLICT for a change that can't be. `path`: of the fields in the request. */
export const nextStanding = (
  now: Standing,
  asked: { readonly state?: BackendState | undefined; readonly weight?: number | undefined },
  path = '',
): Standing => {
  if (asked.weight === 0 && asked.state !== undefined && asked.state !== 'maintenance') {
    throw weirError('INVALID_ARGUMENT', `${path}weight 0 is maintenance, and state ${asked.state} is asked for`, {
      field: `${path}weight`,
      value: 0,
      fix: 'give a weight from 1 to 65535, or leave the state out',
    });
  }
  const woken = now.weight === 0 && (asked.weight ?? 0) > 0 ? 'active' : now.state;
  const state = asked.state ?? (asked.weight === 0 ? 'maintenance' : woken);
  if (state !== now.state && !NEXT[now.state].includes(state)) {
    throw refuse(`${path}${asked.state === undefined ? 'weight' : 'state'}`, now.state, state);
  }
  const kept = now.weight === 0 && state === 'active' ? WEIGHT_DEFAULT : now.weight;
  return { state, weight: asked.weight ?? kept };
};

/** Of one that is new. */
export const firstStanding = (asked: Partial<Standing>, path = ''): Standing => {
  const weight = asked.weight ?? WEIGHT_DEFAULT;
  if (weight === 0) return nextStanding({ state: 'active', weight: WEIGHT_DEFAULT }, asked, path);
  return { state: asked.state ?? 'active', weight };
};

// SPDX-License-Identifier: Apache-2.0
/** The host's own policy, for people on the host: what is in force, confirmed, undone; and the ways to say so, bus or no bus. */
import { weirError } from '@weir/errors';
import { type HostFirewallGuard, OPEN_MAX_S } from '../host-firewall/guard.ts';
import type { LocalRequest } from './server.ts';

const ACTIONS = ['confirm', 'undo', 'open', 'close'] as const;
const WHY_MAX = 200;

const secondsOf = ({ query }: LocalRequest): number => {
  const text = query.get('seconds') ?? '';
  const seconds = Number(text);
  if (/^[0-9]+$/.test(text) && seconds >= 1 && seconds <= OPEN_MAX_S) return seconds;
  throw weirError('INVALID_ARGUMENT', `seconds ${JSON.stringify(text)} is not a number from 1 to ${OPEN_MAX_S}`, {
    field: 'seconds',
    value: text,
    fix: `give ?seconds=1 to ${OPEN_MAX_S}: nobody forgets to close it again`,
  });
};

/** POST /host-firewall/{confirm,undo,open?seconds=,close}, each with &why=. Answers what is so then. */
export const hostFirewallAction = async (guard: HostFirewallGuard, request: LocalRequest): Promise<unknown> => {
  const [action] = request.rest;
  const why = (request.query.get('why') ?? 'somebody on the host said so').slice(0, WHY_MAX);
  switch (action) {
    case 'confirm':
      await guard.confirm(why);
      break;
    case 'undo':
      await guard.undo(why);
      break;
    case 'open':
      await guard.open(secondsOf(request), why);
      break;
    case 'close':
      await guard.close(why);
      break;
    default:
      throw weirError('NOT_FOUND', `the host firewall has no action ${JSON.stringify(action ?? '')}`, {
        field: 'path',
        value: action,
        fix: `use one of ${ACTIONS.join(', ')}`,
      });
  }
  return guard.status();
};

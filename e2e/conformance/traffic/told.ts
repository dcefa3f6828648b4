// SPDX-License-Identifier: Apache-2.0
/** What would be, as the stored flows of the ends tell it: of connections that were just tried. */
import { callApi } from '@weir/infra/api';
import { type Fleet, inParallel, until } from '@weir/infra/fleet';
import type { Cell, Verdict } from '../mode.ts';
import { isAsked, type State } from '../world.ts';
import type { Cast } from './cast.ts';

export interface Asked {
  readonly fleet: Fleet;
  readonly cast: Cast;
  readonly state: State;
  /** Whose policy is asked. */
  readonly isEnd: (name: string) => boolean;
  readonly since: Date;
}

interface Flow {
  readonly direction: 'INGRESS' | 'EGRESS';
  readonly report: string;
  readonly verdict: string;
  readonly pending: { readonly verdict: string } | null;
}

const AT_ONCE = 16;
const PATIENT_MS = 60_000;
/** Reports of a connection's first packet: what came before the change is not meant. */
const FIRST = ['FIRST', 'DROP'];

const flowsOf = async ({ fleet, cast, since }: Asked, cell: Cell): Promise<readonly Flow[]> => {
  const { source, address } = await cast.route(cell);
  const query = new URLSearchParams({ from_ip: source, to_ip: address, protocol: cell.protocol, is_reply: 'false' });
  query.set('since', since.toISOString());
  if (!cell.protocol.startsWith('ICMP')) query.set('to_port', String(cell.port));
  const url = `${fleet.control.urls.analytics}/v1/flows?${query}&limit=200`;
  return (await callApi<{ items: Flow[] }>(url)).items.filter(({ report }) => FIRST.includes(report));
};

const allows = (view: Cell['view'], { verdict, pending }: Flow): boolean => {
  if (view === 'pending' && pending) return pending.verdict === 'FORWARDED';
  return verdict === 'FORWARDED' || (view === 'pending' && verdict === 'AUDIT');
};

/** Undefined: an end that had to be asked was not reached. */
const toldOf = async (asked: Asked, cell: Cell): Promise<Verdict | undefined> => {
  const { state, isEnd } = asked;
  if (cell.from === cell.to) return 'allow';
  const wanted = (
    [
      ['EGRESS', cell.from, cell.to],
      ['INGRESS', cell.to, cell.from],
    ] as const
  )
    .filter(([way, end, other]) => isAsked(state, end, other, way === 'EGRESS' ? 'egress' : 'ingress') && isEnd(end))
    .map(([way]) => way);
  let told: (Flow | undefined)[] = [];
  const isStopped = (): boolean => told[0]?.verdict === 'DROPPED';
  await until(
    `flows of ${JSON.stringify(cell)}`,
    PATIENT_MS,
    async () => {
      const flows = await flowsOf(asked, cell);
      told = wanted.map((way) => flows.find(({ direction }) => direction === way));
      return isStopped() || told.every((flow) => flow !== undefined);
    },
    () => `of ${wanted.join(' and ')} there is ${told.map((flow) => flow?.verdict ?? 'nothing').join(', ')}`,
  );
  const verdicts = told.map((flow) => flow && allows(cell.view, flow));
  if (verdicts.includes(false)) return 'drop';
  return verdicts.includes(undefined) ? undefined : 'allow';
};

export const toldByFlows = (asked: Asked, cells: readonly Cell[]): Promise<(Verdict | undefined)[]> =>
  inParallel(cells, AT_ONCE, (cell) => toldOf(asked, cell));

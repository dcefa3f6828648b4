// SPDX-License-Identifier: Apache-2.0
/** What became of a host's events, as `weir status` says it: a sum that adds up, up to where, and what is missing. */

export interface Account {
  readonly host: string;
  readonly kind: string;
  readonly produced: number;
  readonly stored: number;
  /** By place. */
  readonly lost: Readonly<Record<string, number>>;
  readonly on_its_way: number;
  readonly watermark: { readonly seq: number | null; readonly age_s: number | null };
  readonly gaps: readonly { readonly boot: number; readonly first: number; readonly last: number }[];
}

const NAMES: Readonly<Record<string, string>> = { flow: 'flows', process: 'events of processes' };

export const kindName = (kind: string): string => NAMES[kind] ?? kind;

const plain = (place: string): string => place.replaceAll('_', ' ');

const behind = ({ age_s: ageS }: Account['watermark']): string => {
  if (ageS === null) return 'none stored yet';
  return ageS === 0 ? 'nothing waits' : `waiting for ${ageS}s`;
};

/** A sum that adds up, with the places where something was lost. */
const sumOf = (account: Pick<Account, 'produced' | 'stored' | 'lost' | 'on_its_way'>): string => {
  const { produced, stored, lost } = account;
  const places = Object.entries(lost).filter(([, count]) => count > 0);
  const where =
    places.length === 0 ? '' : ` (${places.map(([place, count]) => `${plain(place)} ${count}`).join(', ')})`;
  const all = Object.values(lost).reduce((sum, count) => sum + count, 0);
  return `${produced} produced = ${stored} stored + ${all} lost${where} + ${account.on_its_way} on their way`;
};

/** Of all hosts together; undefined when there is nothing to add up. */
export const fleetSum = (accounts: readonly Account[]): string | undefined => {
  if (accounts.length === 0) return undefined;
  const total = (of: (account: Account) => number): number => accounts.reduce((sum, one) => sum + of(one), 0);
  const places = [...new Set(accounts.flatMap(({ lost }) => Object.keys(lost)))];
  return sumOf({
    produced: total(({ produced }) => produced),
    stored: total(({ stored }) => stored),
    lost: Object.fromEntries(places.map((place) => [place, total(({ lost }) => lost[place] ?? 0)])),
    on_its_way: total((account) => account.on_its_way),
  });
};

export const accountLines = (account: Account): string[] => [
  `  ${kindName(account.kind)} ${sumOf(account)}; stored up to ${account.watermark.seq ?? '-'}, ${behind(account.watermark)}`,
  ...account.gaps.map(
    ({ boot, first, last }) =>
      `  gap ${first}-${last}: ${last - first + 1} that are missing below what is stored, of the run begun ${new Date(boot).toISOString()}`,
  ),
];

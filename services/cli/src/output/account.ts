// SPDX-License-Identifier: Apache-2.0
/** What became of a host's flows, as `weir status` says it: a sum that adds up, up to where, and what is missing. */

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

export const lostOf = ({ lost }: Account): number => Object.values(lost).reduce((sum, count) => sum + count, 0);

const plain = (place: string): string => place.replaceAll('_', ' ');

const behind = ({ age_s: ageS }: Account['watermark']): string => {
  if (ageS === null) return 'none stored yet';
  return ageS === 0 ? 'nothing waits' : `waiting for ${ageS}s`;
};

export const accountLines = (account: Account): string[] => {
  const { produced, stored, lost, watermark, gaps } = account;
  const places = Object.entries(lost).filter(([, count]) => count > 0);
  const where =
    places.length === 0 ? '' : ` (${places.map(([place, count]) => `${plain(place)} ${count}`).join(', ')})`;
  const sum = `${produced} produced = ${stored} stored + ${lostOf(account)} lost${where} + ${account.on_its_way} on their way`;
  return [
    `  ${account.kind}s ${sum}; stored up to ${watermark.seq ?? '-'}, ${behind(watermark)}`,
    ...gaps.map(
      ({ boot, first, last }) =>
        `  gap ${first}-${last} (${last - first + 1}) of the run begun ${new Date(boot).toISOString()}`,
    ),
  ];
};

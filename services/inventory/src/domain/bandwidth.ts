// SPDX-License-Identifier: Apache-2.0
/**
 * Bandwidth of workloads as Kubernetes writes it: a quantity in bits per second, 10M or 1Gi, within the limits of
 * the bandwidth plugin (1k to 1P). Annotations are taken by the words that Kubernetes and Cilium have for them.
 */
import { nearest, weirError } from '@weir/errors';

const FACTORS: Readonly<Record<string, bigint>> = {
  '': 1n,
  k: 10n ** 3n,
  M: 10n ** 6n,
  G: 10n ** 9n,
  T: 10n ** 12n,
  P: 10n ** 15n,
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
};
const QUANTITY = /^(\d{1,15})(?:\.(\d{1,9}))?(k|M|G|T|P|Ki|Mi|Gi|Ti)?$/;
const LEAST = 1_000n;
const MOST = 10n ** 15n;
const FIX = 'write bits per second such as 10M, 1.5G or 512Ki, from 1k to 1P; null for no limit';

/** Throws INVALID_ARGUMENT naming the field; 0 stands for no limit. */
export const parseBandwidth = (field: string, text: string | null | undefined): bigint => {
  if (text === null || text === undefined) return 0n;
  const refuse = (why: string) =>
    weirError('INVALID_ARGUMENT', `${field} ${JSON.stringify(text)} ${why}`, { field, value: text, fix: FIX });
  const [, whole = '', fraction = '', suffix = ''] = QUANTITY.exec(text) ?? [];
  if (whole === '') throw refuse('is not a quantity');
  const scaled = BigInt(whole + fraction) * (FACTORS[suffix] as bigint);
  const bits = scaled / 10n ** BigInt(fraction.length);
  if (bits < LEAST || bits > MOST) throw refuse(bits < LEAST ? 'is less than 1k' : 'is more than 1P');
  return bits;
};

/** As short as it is exact. */
export const formatBandwidth = (bits: bigint): string | null => {
  if (bits === 0n) return null;
  const decimal = (['P', 'T', 'G', 'M', 'k'] as const).find((suffix) => bits % (FACTORS[suffix] as bigint) === 0n);
  const binary = (['Ti', 'Gi', 'Mi', 'Ki'] as const).find((suffix) => bits % (FACTORS[suffix] as bigint) === 0n);
  const suffix = decimal ?? binary ?? '';
  return `${bits / (FACTORS[suffix] as bigint)}${suffix}`;
};

/** The words that mean something here, and the field that each is another name of. */
export const ANNOTATIONS = {
  'kubernetes.io/egress-bandwidth': 'egress_bandwidth',
  'kubernetes.io/ingress-bandwidth': 'ingress_bandwidth',
  'ipam.cilium.io/ip-pool': 'pool',
} as const;
export const POOL_ANNOTATION = 'ipam.cilium.io/ip-pool';

export interface Annotated {
  readonly egress_bandwidth?: string | null;
  readonly ingress_bandwidth?: string | null;
  readonly pool?: string;
}

/** What annotations say, as fields. Throws for a word that means nothing here, and for a field given in both ways. */
export const fromAnnotations = (
  annotations: Readonly<Record<string, string>> | undefined,
  given: Annotated,
): Annotated => {
  const found: Record<string, string> = {};
  for (const [key, value] of Object.entries(annotations ?? {})) {
    const path = `annotations.${key}`;
    const field = ANNOTATIONS[key as keyof typeof ANNOTATIONS];
    if (field === undefined) {
      const known = Object.keys(ANNOTATIONS);
      const meant = nearest(key, known);
      const fix = meant === undefined ? `use one of ${known.join(', ')}, or a label` : `did you mean ${meant}?`;
      throw weirError('INVALID_ARGUMENT', `${path} is not an annotation known here`, { field: path, value: key, fix });
    }
    if (given[field] !== undefined) {
      throw weirError('INVALID_ARGUMENT', `${path} is given beside ${field}`, {
        field: path,
        value,
        fix: 'give one of both',
      });
    }
    if (field !== 'pool') parseBandwidth(path, value);
    found[field] = value;
  }
  return { ...given, ...found };
};

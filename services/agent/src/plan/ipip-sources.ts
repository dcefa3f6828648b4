// SPDX-License-Identifier: Apache-2.0
/** Source addresses of packets that carry another to its backend: the host's, or of a prefix by connection. */
import { parseCidr } from '@weir/net';

/** Where packets come from that carry another to its backend. */
export interface IpipSources {
  readonly ip4: IpipSource;
  readonly ip6: IpipSource;
}

export interface IpipSource {
  /** Empty: none is sent. */
  readonly address: string;
  /** Of its last 32 bits, those that connections decide. */
  readonly bits: number;
}

/** The host's own address, of all connections. */
export const hostSource = (addresses: readonly string[], isIp6: boolean): IpipSource => ({
  ...{ address: addresses.find((address) => address.includes(':') === isIp6) ?? '', bits: 0 },
});

/** Of its last 32 bits those behind the prefix. Undefined: no prefix. */
export const sourceOf = (cidr: string | undefined): IpipSource | undefined => {
  if (!cidr || sourceIssues('', cidr).length > 0) return undefined;
  const { text } = parseCidr(cidr);
  const [address = '', bits] = text.split('/');
  const free = Math.min(32, (address.includes(':') ? 128 : 32) - Number(bits));
  return { address, bits: free === 32 ? 0xffff_ffff : 2 ** free - 1 };
};

export const sourceIssues = (field: string, cidr: string): string[] => {
  if (cidr === '') return [];
  try {
    parseCidr(cidr);
    return [];
  } catch (error) {
    return [`${field}: ${(error as Error).message}`];
  }
};

// SPDX-License-Identifier: Apache-2.0
/** What is asked of an uplink as the flags of its entry in the map `uplinks`. */
import { weir_uplink_flags } from './gen/index.ts';

const {
  UPLINK_EGRESS,
  UPLINK_SERVICES,
  UPLINK_GUARD_HOST,
  UPLINK_VLAN_ALL,
  UPLINK_VLAN_FILTER,
  UPLINK_STRICT,
  UPLINK_STRICT_INGRESS,
  UPLINK_STRICT_EXCEPT_HOSTS,
} = weir_uplink_flags;

export interface UplinkDuties {
  /** Ids that pass, 0 = every one; undefined: tags are not looked at. */
  readonly vlans?: ReadonlySet<number> | undefined;
  /** Somebody may leave by an egress gateway. */
  readonly egress: boolean;
  /** Clients outside are served. */
  readonly services: boolean;
  /** The host's own packets are judged by its policy. */
  readonly guard?: boolean | undefined;
  /** Undefined: everything may be in the clear. */
  readonly strict?:
    | { readonly cidrs: { readonly size: number }; readonly ingress: boolean; readonly exceptHosts: boolean }
    | undefined;
}

/** enum weir_uplink_flags */
export const uplinkFlags = ({ vlans, egress, services, guard, strict }: UplinkDuties): number => {
  const bits: readonly (readonly [boolean | undefined, number])[] = [
    [vlans !== undefined, UPLINK_VLAN_FILTER],
    [vlans?.has(0), UPLINK_VLAN_ALL],
    [egress, UPLINK_EGRESS],
    [services, UPLINK_SERVICES],
    [guard, UPLINK_GUARD_HOST],
    [strict && strict.cidrs.size > 0, UPLINK_STRICT],
    [strict?.ingress, UPLINK_STRICT_INGRESS],
    [strict?.exceptHosts, UPLINK_STRICT_EXCEPT_HOSTS],
  ];
  return bits.reduce((flags, [isSet, bit]) => (isSet ? flags | bit : flags), 0);
};

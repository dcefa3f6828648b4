// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.HostFirewallService */
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { HostFirewallService } from '@weir/proto/weir/inventory/v1/host_firewall_pb.js';
import { implement, type Registered } from '@weir/rpc';
import type { Operations } from '../operations/context.ts';
import { findHostFirewall, pageOfHostFirewallEvents, pageOfHostFirewalls } from '../operations/host-firewalls.ts';
import type { HostFirewallRow } from '../store/host-firewalls.ts';
import { compact, given, pageOfRequest } from './requests.ts';

const filterOf = ({ host }: { host: string }) => compact({ host: given(host) });

const statusOf = ({ host_id, confirmed_by, last_good, until, changed_at, ...row }: HostFirewallRow) => ({
  ...{ ...row, host: host_id, confirmedBy: confirmed_by, lastGood: last_good },
  changedAt: timestampFromDate(changed_at),
  ...(until ? { until: timestampFromDate(until) } : {}),
});

export const hostFirewallService = (operations: Operations): Registered =>
  implement(HostFirewallService, {
    getHostFirewall: async ({ host }) => ({ hostFirewall: statusOf(await findHostFirewall(operations, host)) }),
    listHostFirewalls: async (request) => {
      const page = await pageOfHostFirewalls(operations, filterOf(request), pageOfRequest(request));
      return { hostFirewalls: page.items.map(statusOf), nextCursor: page.next_cursor ?? '' };
    },
    listHostFirewallEvents: async (request) => {
      const page = await pageOfHostFirewallEvents(operations, filterOf(request), pageOfRequest(request));
      const events = page.items.map(({ host_id, time_ms, ...row }) => ({
        ...{ ...row, host: host_id, time: timestampFromDate(new Date(Number(time_ms))) },
      }));
      return { events, nextCursor: page.next_cursor ?? '' };
    },
  });

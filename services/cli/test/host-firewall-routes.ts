// SPDX-License-Identifier: Apache-2.0
/** Of the small fleet (fleet-routes.ts): the hosts' own policies. */
import { listing, type Routes } from './harness.ts';

const DOCUMENT = 'cfg.policy.FirewallPolicy.-.ssh';

export const HOST_FIREWALL_ROUTES: Routes = {
  'GET /v1/host-firewalls': listing([
    {
      ...{
        host: 'h1',
        state: 'undone',
        confirmed_by: 'bus',
        documents: [`${DOCUMENT}@6`],
        last_good: [`${DOCUMENT}@6`],
      },
      ...{ until: null, why: 'the bus was not reached after the change, within 60 s' },
      changed_at: '2026-11-22T19:50:00Z',
    },
    {
      ...{ host: 'h2', state: 'pending', confirmed_by: 'operator', documents: [`${DOCUMENT}@7`], last_good: [] },
      ...{ until: '2026-11-22T20:00:30.000Z', why: null, changed_at: '2026-11-22T19:59:30Z' },
    },
  ]),
  'GET /v1/host-firewall-events': listing([
    {
      ...{ host: 'h1', sequence: 2, time: '2026-11-22T19:50:00.000Z', act: 'undone', by: 'agent' },
      ...{ why: 'the bus was not reached after the change, within 60 s', documents: [`${DOCUMENT}@7`] },
    },
    {
      ...{ host: 'h1', sequence: 1, time: '2026-11-22T19:49:00.000Z', act: 'applied', by: 'agent' },
      ...{ why: 'it waits 60 s for its confirmation by the bus', documents: [`${DOCUMENT}@7`] },
    },
  ]),
};

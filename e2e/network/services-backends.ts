// SPDX-License-Identifier: Apache-2.0
/**
 * Backends that somebody takes out, drains, puts back and weighs, and clients that stay with theirs: asked for by workloads and from
 * outside. Judged as in services-rows.ts.
 */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { until, type Workload } from '@weir/infra/fleet';
import { FAMILIES, type Scene } from './scene.ts';
import { askingIn, DEADLINE_MS, PROTOCOLS, VIP } from './services-asking.ts';

interface Shown {
  readonly revision: number;
  readonly backends: readonly { readonly number: number; readonly address: string; readonly state: string }[];
}
const HEAVY = 65_535;

export const servicesBackends = async (scene: Scene): Promise<void> => {
  const { fleet, outside, web, db, shop } = scene;
  const { inventory } = fleet.control.urls;
  const url = `${inventory}/v1/services/default.rows`;
  const { apply, remove, enterBy, expect, askAs, end } = askingIn(scene);
  /** Of all backends that the workload is. */
  const set = async ({ ip4, ip6 }: Workload, change: object): Promise<void> => {
    const { backends } = await callApi<Shown>(url);
    for (const { number, address } of backends)
      if (address === ip4 || address === ip6)
        await callApi(`${url}/backends/${number}`, { method: 'PATCH', body: change });
    await fleet.waitReported('inventory', (await callApi<Shown>(url)).revision, DEADLINE_MS);
  };
  const everybody = (what: string, ...wanted: Workload[]): Promise<void> =>
    expect(
      what,
      [db, outside].map((from) => ({ from, wanted })),
    );
  const blocks = [{ cidr: `${VIP.ip4}/32` }, { cidr: `${VIP.ip6}/128` }];
  await callApi(`${inventory}/v1/lb-pools/rows`, { method: 'PUT', body: { blocks } });
  enterBy('h1');
  try {
    await apply([], ['service.cilium.io/lb-algorithm: maglev']);
    await everybody('both backends', web, shop);
    await set(web, { state: 'maintenance' });
    await everybody('a backend that was taken out', shop);
    await set(web, { state: 'active' });
    await everybody('it was put back', web, shop);
    for (const [heavy, light] of [
      [web, shop],
      [shop, web],
    ] as const) {
      await set(light, { weight: 1 });
      await set(heavy, { weight: HEAVY });
      // Sockets go by no weights.
      await expect('packets go by weights', [{ from: outside, wanted: [heavy] }]);
    }
    await set(shop, { state: 'terminating' });
    await everybody('one that ends gets nothing new', web);
    await set(web, { state: 'maintenance' });
    await everybody('but when there is no other', shop);
    await remove();

    await apply(['sessionAffinity: ClientIP']);
    await until('the service', DEADLINE_MS, async () =>
      (
        await Promise.all(
          [db, outside].flatMap((from) => FAMILIES.map((family) => askAs({ from }, family, { times: 1 }))),
        )
      )
        .flatMap(({ results }) => results)
        .every(({ outcome }) => outcome === 'answered'),
    );
    for (const from of [db, outside])
      for (const family of FAMILIES)
        for (const protocol of PROTOCOLS) {
          const kept = async (): Promise<Workload> => {
            const { results, reached } = await askAs({ from }, family, { protocols: [protocol] });
            assert.ok(
              results.every(({ outcome }) => outcome === 'answered'),
              `${protocol} ${family}`,
            );
            assert.equal(reached.length, 1, `${protocol} ${family}: a client stays with its backend`);
            return reached[0] as Workload;
          };
          const first = await kept();
          assert.equal(await kept(), first);
          const other = first === web ? shop : web;
          await set(first, { state: 'maintenance' });
          await until('the client to go elsewhere', DEADLINE_MS, async () => (await kept()) === other);
          await set(first, { state: 'active' });
          assert.equal(await kept(), other, 'it stays there');
        }
    await remove();
  } finally {
    end();
  }
  await callApi(`${inventory}/v1/lb-pools/rows`, { method: 'DELETE' });
};

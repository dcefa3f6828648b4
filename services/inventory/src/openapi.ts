// SPDX-License-Identifier: Apache-2.0
/** The OpenAPI document of this service, from its routes. */
import { fileURLToPath } from 'node:url';
import { openapiText } from '@weir/http';
import { createInventoryHttp } from './http.ts';
import type { Operations } from './operations/context.ts';

export const OPENAPI_FILE = fileURLToPath(new URL('../openapi.json', import.meta.url));

/** No route is called: there is nothing behind them. */
export const openapi = async (): Promise<string> => {
  const app = await createInventoryHttp({ db: {} } as Operations, {});
  await app.ready();
  const text = openapiText(app);
  await app.close();
  return text;
};

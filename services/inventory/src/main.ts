// SPDX-License-Identifier: Apache-2.0
import { loadConfig } from '@weir/config';
import { runService } from '@weir/http';
import { createApp } from './app.ts';
import { InventoryConfig } from './config.ts';

await runService('inventory', () => createApp(loadConfig(InventoryConfig, process.env, 'INVENTORY')));

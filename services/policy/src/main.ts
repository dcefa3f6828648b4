// SPDX-License-Identifier: Apache-2.0
import { loadConfig } from '@weir/config';
import { runService } from '@weir/http';
import { createApp } from './app.ts';
import { PolicyConfig } from './config.ts';

await runService('policy', () => createApp(loadConfig(PolicyConfig, process.env, 'POLICY')));

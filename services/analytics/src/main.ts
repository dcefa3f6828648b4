// SPDX-License-Identifier: Apache-2.0
import { runService } from '@weir/http';
import { createApp } from './app.ts';
import { readConfig } from './config.ts';

await runService('analytics', () => createApp(readConfig()));

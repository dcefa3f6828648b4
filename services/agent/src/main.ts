// SPDX-License-Identifier: Apache-2.0
/**
 * The agent of this host. Ended by SIGTERM it leaves the datapath as it is; `--cleanup` takes away everything that
 * agents of this host have made.
 *
 * Compiled code is cached among the agent's own files (never in /tmp, where others may write): it starts in two thirds
 * of the time.
 */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

const stateDir = process.env.WEIR_AGENT_STATE_DIR;
if (stateDir?.startsWith('/')) enableCompileCache(join(stateDir, 'compile-cache'));

const { main } = await import('./run.ts');
await main(process.argv.slice(2));

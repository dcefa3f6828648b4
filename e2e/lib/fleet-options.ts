// SPDX-License-Identifier: Apache-2.0
/** Options of a test's own fleet: a name and folder nobody else has, free ports, a log line a step when asked. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FleetOptions } from '@weir/infra/fleet';

/** Set for a test that runs in a guest (e2e/vm): its control plane runs on the machine, its agent is one file. */
const { WEIR_TEST_CONTROL_PLANE: controlPlane, WEIR_TEST_AGENT_MAIN: agentMain } = process.env;

const PREFIX = 'weir-e2e-';

/** `short` and the process number make the name; namespaces, pins and folders carry it. */
export const testFleet = (short: string, hosts: readonly string[], more: Partial<FleetOptions> = {}): FleetOptions => ({
  name: `${short}${process.pid}`,
  dir: join(tmpdir(), `${PREFIX}${short}${process.pid}`),
  sweepPrefix: PREFIX,
  hosts,
  onStep: process.env.WEIR_TEST_VERBOSE ? (text) => process.stderr.write(`# ${short}: ${text}\n`) : undefined,
  ...(controlPlane ? { controlPlane: JSON.parse(controlPlane) } : {}),
  ...(agentMain ? { agentMain } : {}),
  ...more,
});

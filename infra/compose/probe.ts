// SPDX-License-Identifier: Apache-2.0
/**
 * Asks the network from inside workloads of the compose fleet, with real sockets.
 *
 *   docker-compose -f infra/compose.yaml exec shop node infra/compose/probe.ts client web tcp 80 [6]
 *        one conversation; status 0 when it was answered
 *   docker-compose -f infra/compose.yaml exec shop node infra/compose/probe.ts all
 *        all of the demo, a line of JSON each
 */
import { conversations, tryOut } from './conversation.ts';

const [from, to, protocol, port, family = '4'] = process.argv.slice(2);
if (from === 'all') {
  const lines = await Promise.all(
    conversations.map(async ({ allowedAfter, ...conversation }) => {
      const { outcome } = await tryOut(conversation, { patient: allowedAfter });
      return `${JSON.stringify({ ...conversation, outcome })}\n`;
    }),
  );
  process.stdout.write(lines.join(''));
} else if (from && to && (protocol === 'tcp' || protocol === 'udp') && Number(port) > 0) {
  const result = await tryOut({ from, to, protocol, port: Number(port), family: family === '6' ? 6 : 4 });
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = result.ok ? 0 : 1;
} else {
  process.stderr.write('usage: probe.ts FROM TO tcp|udp PORT [4|6] | probe.ts all\n');
  process.exitCode = 2;
}

// SPDX-License-Identifier: Apache-2.0
/**
 * `npm run bench -- policy|events|churn|overlay|svc|lb-prog|lb-live|wireguard [--part NAME]... [--long] [--json FILE]`: measures, prints a table with the losing rows
 * first, and says PASS or FAIL against each goal. Exits 1 when a goal is missed. The machine should have nothing else to do.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { balancerPrograms } from './balancer.ts';
import { live } from './balancer-live.ts';
import { churn } from './churn.ts';
import { events } from './events.ts';
import { overlay } from './overlay.ts';
import { policy } from './policy.ts';
import { type Part, type Row, table } from './report.ts';
import { services } from './services.ts';
import { wireguard } from './wireguard.ts';

const BENCHES: Readonly<Record<string, Readonly<Record<string, Part>>>> = {
  policy,
  events,
  churn,
  overlay,
  svc: services,
  'lb-prog': balancerPrograms,
  'lb-live': { live },
  wireguard,
};

const { values, positionals } = parseArgs({
  options: {
    part: { type: 'string', multiple: true },
    long: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
  allowPositionals: true,
});

const usage = (): string => {
  const names = Object.entries(BENCHES).map(([name, parts]) => `${name} (${Object.keys(parts).join(', ')})`);
  return `usage: npm run bench -- NAME [--part PART]... [--long] [--smoke] [--json FILE]\nnames (parts): ${names.join(', ')}\n`;
};

const measure = async (name: string, parts: readonly Part[]): Promise<void> => {
  const rows: Row[] = [];
  for (const part of parts) {
    const found = await part({
      long: values.long,
      smoke: values.smoke,
      onStep: (text) => process.stderr.write(`bench: ${text}\n`),
    });
    rows.push(...found);
  }
  const result = { name, rows };
  process.stdout.write(`${table(result)}\n`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, undefined, 2)}\n`);
  process.exitCode = rows.some(({ pass }) => pass === false) && !values.smoke ? 1 : 0;
};

const [name = ''] = positionals;
const known = BENCHES[name] ?? {};
const parts = (values.part ?? Object.keys(known)).map((part) => known[part]);
if (positionals.length !== 1 || parts.length === 0 || parts.includes(undefined)) {
  process.stderr.write(usage());
  process.exitCode = 2;
} else await measure(name, parts as Part[]);

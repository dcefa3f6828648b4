// SPDX-License-Identifier: Apache-2.0
/**
 * What operators look up, made of the lists in the code: infra/docs/metrics.md and infra/docs/errors.md.
 *
 *   node infra/setup/docs.ts           writes them
 *   node infra/setup/docs.ts --check   fails when they differ
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { ERROR_CODES } from '@weir/errors';
import { METRICS, type MetricSpec } from '@weir/telemetry';

const UNITS: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes', '1': '' };
const GRPC: Readonly<Record<number, string>> = {
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  6: 'ALREADY_EXISTS',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const metrics = (): string =>
  `# Metrics

Made by \`node infra/setup/docs.ts\` of \`services/lib/telemetry/src/names.ts\`. Every program serves its own at \`/metrics\`.

${table(
  ['metric', 'kind', 'unit', 'labels', 'what it tells'],
  Object.entries<MetricSpec>(METRICS).map(([name, { kind, unit, labels = [], help }]) => [
    `\`${name}\``,
    kind,
    UNITS[unit] ?? unit,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
  ]),
)}
`;

const errors = (): string =>
  `# Errors

Made by \`node infra/setup/docs.ts\` of \`services/lib/errors/src/codes.ts\`. REST answers with problem details (RFC 9457), gRPC with the
status and the same problem in its metadata (\`weir-code\`, \`weir-problem-bin\`): code, field, value, fix, and \`errors\` when several
things are wrong. With \`Retry-After\` (metadata \`retry-after\`) it is worth while to come back.

${table(
  ['code', 'HTTP', 'gRPC', 'when, and what to do'],
  Object.entries(ERROR_CODES).map(([code, { status, grpc, meaning }]) => [
    `\`${code}\``,
    String(status),
    GRPC[grpc] ?? String(grpc),
    meaning,
  ]),
)}
`;

const DOCUMENTS = { 'metrics.md': metrics(), 'errors.md': errors() };
const check = process.argv.includes('--check');
for (const [name, text] of Object.entries(DOCUMENTS)) {
  const file = new URL(`../docs/${name}`, import.meta.url);
  if (!check) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    process.stdout.write(`infra/docs/${name} is not what the code says\n`);
    process.exitCode = 1;
  }
}

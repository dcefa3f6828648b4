// SPDX-License-Identifier: Apache-2.0
/** Where the compiled BPF objects are. Compiling is the build's work: asking for one that is missing says how. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { weirError } from '@weir/errors';

export const OBJECT_NAMES = [
  ...(['workload', 'host', 'frontend', 'balancer', 'accelerator', 'overlay', 'nat64'] as const),
  ...(['client', 'socket', 'wireguard', 'announce', 'cgroup', 'process', 'runtime', 'owner'] as const),
];

export type ObjectName = (typeof OBJECT_NAMES)[number];

export const objectPath = (name: ObjectName): string => {
  const path = join(import.meta.dirname, 'obj', `${name}.bpf.o`);
  if (existsSync(path)) return path;
  throw weirError('NOT_FOUND', `the BPF object ${name} is not built: ${path} does not exist`, {
    field: 'object',
    value: name,
    fix: 'npm run build',
  });
};

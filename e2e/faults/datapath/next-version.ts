// SPDX-License-Identifier: Apache-2.0
/**
 * The agent and its datapath as a later version could be: built from these sources with the values of a policy entry and of a
 * service grown by a field, and one map under another name.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = new URL('../../../', import.meta.url).pathname;

export interface NextVersion {
  /** Program of its agent. */
  readonly main: string;
  /** Bytes, before and after. */
  readonly policyEntry: readonly [number, number];
  readonly service: readonly [number, number];
  remove(): void;
}

const replaceIn = (path: string, from: string, to: string): void => {
  const text = readFileSync(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${path} has no ${JSON.stringify(from)}`);
  writeFileSync(path, text.replace(from, to));
};

/** Wherever it is, if it is there. */
const replaceAllIn = (path: string, from: string, to: string): void =>
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll(from, to));

/** Packages as they are, but for those that are copied. */
const linkModules = (dir: string): void => {
  const modules = join(dir, 'node_modules');
  const own = join(ROOT, 'node_modules');
  mkdirSync(join(modules, '@weir'), { recursive: true });
  for (const name of readdirSync(own))
    if (name !== '@weir') symlinkSync(realpathSync(join(own, name)), join(modules, name));
  for (const name of readdirSync(join(own, '@weir')))
    if (name !== 'bpf') symlinkSync(realpathSync(join(own, '@weir', name)), join(modules, '@weir', name));
  symlinkSync(join(dir, 'bpf'), join(modules, '@weir', 'bpf'));
};

const bytesOf = (gen: string, struct: string): number => {
  const found = new RegExp(`export const ${struct} = [\\s\\S]*?size: (\\d+)`).exec(
    readFileSync(join(gen, 'structs.ts'), 'utf8'),
  );
  if (!found) throw new Error(`${gen} does not say how large a ${struct} is`);
  return Number(found[1]);
};

export const buildNextVersion = (): NextVersion => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-next-version-'));
  try {
    const bpf = join(dir, 'bpf');
    for (const part of ['prog', 'include', 'codegen', 'gen', 'build.ts', 'toolchain.ts', 'objects.ts', 'codec.ts'])
      cpSync(join(ROOT, 'bpf', part), join(bpf, part), { recursive: true });
    for (const part of ['policy-table.ts', 'uplink-flags.ts', 'process-events.ts', 'package.json'])
      cpSync(join(ROOT, 'bpf', part), join(bpf, part));
    for (const part of ['src', 'package.json'])
      cpSync(join(ROOT, 'services/agent', part), join(dir, 'services/agent', part), { recursive: true });
    writeFileSync(join(dir, 'package.json'), '{ "type": "module" }\n');
    linkModules(dir);
    replaceIn(
      join(bpf, 'include/abi.h'),
      '\t__u64 bytes;\n};\n\n/* `conntrack`',
      '\t__u64 bytes;\n\t__u64 hits;\n};\n\n/* `conntrack`',
    );
    replaceIn(
      join(bpf, 'include/abi_services.h'),
      '/* `services` */\nstruct service {\n',
      'struct service {\n\t__u32 hits;\n',
    );
    replaceIn(
      join(dir, 'services/agent/src/apply/kernel/services.ts'),
      'service.encode({',
      'service.encode({ hits: 0,',
    );
    replaceIn(join(bpf, 'policy-table.ts'), 'bytes: 0n', 'bytes: 0n, hits: 0n');
    replaceIn(join(bpf, 'include/maps.h'), '} fragments SEC', '} fragments_next SEC');
    for (const header of readdirSync(join(bpf, 'include')))
      replaceAllIn(join(bpf, 'include', header), '&fragments,', '&fragments_next,');
    for (const script of ['build.ts', 'codegen/main.ts'])
      execFileSync(process.execPath, [join(bpf, script)], { stdio: 'pipe' });
    const beforeAndAfter = (struct: string) =>
      [bytesOf(join(ROOT, 'bpf/gen'), struct), bytesOf(join(bpf, 'gen'), struct)] as const;
    return {
      main: join(dir, 'services/agent/src/main.ts'),
      policyEntry: beforeAndAfter('policy_entry'),
      service: beforeAndAfter('service'),
      remove: () => rmSync(dir, { recursive: true, force: true }),
    };
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
};

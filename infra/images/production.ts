// SPDX-License-Identifier: Apache-2.0
/**
 * Takes away the packages that nothing needs in production, as package-lock.json marks them: tools, and optional
 * packages (binaries that only the demo without containers runs). `npm prune` would ask the registry again, which a
 * site without one does not have.
 */
import { readFileSync, rmSync } from 'node:fs';

interface Entry {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Entry> };
for (const [path, { dev, optional, devOptional }] of Object.entries(packages)) {
  if (path.includes('node_modules/') && (dev || optional || devOptional))
    rmSync(path, { recursive: true, force: true });
}

// SPDX-License-Identifier: Apache-2.0
/** The namespace of the health endpoint, mounted on a file of this host. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createNetns, deleteNetns, isNetns, listenInNetns, netnsId } from '@weir/loader';
import type { EndpointPlace } from '../../health/endpoint.ts';

export const endpointPlace = (path: string): EndpointPlace => ({
  ensure: async () => {
    if (!(await isNetns(path))) {
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      // What a mount that is gone was on, after a reboot or in a container that was started again.
      await rm(path, { force: true });
      await createNetns(path);
    }
    return String(await netnsId(path));
  },
  listen: (port) => listenInNetns(path, port),
  remove: async () => {
    if (await isNetns(path)) await deleteNetns(path);
  },
});

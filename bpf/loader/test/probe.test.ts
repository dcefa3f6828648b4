// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync, rmdirSync, statfsSync } from 'node:fs';
import { test } from 'node:test';
import {
  attachTpBtf,
  cgroup2Mount,
  ensureBpffs,
  ensureTracefs,
  featureProbe,
  openObject,
  tcxSupported,
} from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { compile, own } from './helper.ts';

const skip = needKernel();

test('features agree with what then works', { skip }, async () => {
  const features = await featureProbe();
  assert.equal(features.kernel, readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim());
  assert.equal(features.tcx, await tcxSupported());
  assert.equal(features.btf, true);
  assert.equal(features.ringbuf, true);
  const object = await openObject(compile('tracing'));
  try {
    const link = await attachTpBtf(object.program('on_tp_btf')).catch(() => undefined);
    assert.equal(features.tpBtf, link !== undefined);
    link?.close();
  } finally {
    object.close();
  }
  for (const value of [features.fentry, features.lsm, features.kprobe, features.clsact, features.batchLpm])
    assert.equal(typeof value, 'boolean');
});

test('a bpffs is there afterwards, and only one', { skip }, async () => {
  const path = await ensureBpffs(`/sys/fs/bpf/${own('x')}/y`);
  await Promise.all([ensureBpffs(path), ensureBpffs(), ensureBpffs('/sys/fs/bpf')]);
  assert.equal(statfsSync(path).type >>> 0, 0xcafe4a11);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').match(/ \/sys\/fs\/bpf /g);
  assert.equal(mounts?.length, 1);
  rmdirSync(path);
  rmdirSync(`/sys/fs/bpf/${own('x')}`);
  assert.equal(statfsSync(await ensureTracefs()).type, 0x74726163);
});

test('cgroup v2 is found where it is mounted', async () => {
  const hybrid = [
    '24 22 0:21 / /sys/fs/cgroup rw - tmpfs tmpfs rw',
    '25 24 0:22 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw',
  ].join('\n');
  assert.equal(await cgroup2Mount(hybrid), '/sys/fs/cgroup/unified');
  assert.equal(await cgroup2Mount('30 1 0:30 / /sys/fs/cgroup rw - cgroup2 none rw'), '/sys/fs/cgroup');
  assert.equal(await cgroup2Mount('30 1 0:30 / /a\\040b rw master:1 - cgroup2 none rw'), '/a b');
  assert.equal(await cgroup2Mount('24 22 0:21 / /sys/fs/cgroup rw - cgroup cgroup rw'), undefined);
});

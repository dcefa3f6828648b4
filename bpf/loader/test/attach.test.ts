// SPDX-License-Identifier: Apache-2.0
/** Attachment is judged by what packets do, not by what the kernel says it attached. */
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  attachClsact,
  attachTc,
  attachTcx,
  attachXdp,
  type BpfObject,
  ClsactFilter,
  clsactFilter,
  ensureBpffs,
  Link,
  openNetlink,
  openObject,
  openPinnedLink,
  tcxSupported,
  updateLink,
} from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { compile, createPair, own, type Pair, startTraffic, type Traffic } from './helper.ts';

const skip = needKernel();
const pins = `/sys/fs/bpf/${own('attach')}`;
let object: BpfObject;
let pair: Pair;
let traffic: Traffic;

before(async () => {
  if (skip) return;
  await ensureBpffs(pins);
  object = await openObject(compile('packets'));
  pair = await createPair();
  traffic = await startTraffic(pair);
});

after(async () => {
  if (skip) return;
  await traffic?.stop();
  await pair?.destroy();
  object?.close();
  rmSync(pins, { recursive: true, force: true });
});

/** Nothing arrives any more. What was under way may take a while on a slow machine, but not for ever. */
const blocked = async (): Promise<boolean> => {
  for (let attempt = 0; attempt < 20; attempt++) if ((await traffic.during(60)) === 0) return true;
  return false;
};

/** Replaces one dropping program by another many times under traffic: nothing may slip through. */
const replaceUnderTraffic = async (update: (name: string) => Promise<void>): Promise<void> => {
  await traffic.during(0);
  const before = traffic.received();
  for (let i = 0; i < 300; i++) await update(i % 2 ? 'tc_drop' : 'tc_drop_too');
  await traffic.during(0);
  assert.equal(traffic.received() - before, 0, 'packets passed while the program was replaced');
};

/** Kernels before 6.6: tcx says so, and attachTc does without. */
const refusedTcx = async (): Promise<void> => {
  await assert.rejects(attachTcx(object.program('tc_drop'), pair.here, 'ingress'), {
    code: 'KERNEL',
    message: /EINVAL/,
  });
  const filter = await attachTc(object.program('tc_drop'), pair.here, 'ingress', { pinPath: `${pins}/unused` });
  assert.ok(filter instanceof ClsactFilter);
  assert.equal(await blocked(), true);
  await filter.detach();
  await traffic.flows();
};

test('tcx: drops, is replaced in place without a gap, passes', { skip }, async () => {
  await traffic.flows();
  if (!(await tcxSupported())) return refusedTcx();
  const link = await attachTcx(object.program('tc_drop'), pair.here, 'ingress', `${pins}/tcx`);
  assert.equal(await blocked(), true);
  const info = link.info();
  assert.deepEqual([info.type, info.ifindex, info.attachType], ['tcx', pair.here, 46]);
  assert.equal(info.progId, object.program('tc_drop').id);
  await replaceUnderTraffic((name) => updateLink(link, object.program(name)));

  // the pin alone keeps it, and is taken over by the next process
  link.close();
  assert.equal(await blocked(), true);
  await updateLink(`${pins}/tcx`, object.program('tc_drop_too'));
  const again = await attachTc(object.program('tc_pass'), pair.here, 'ingress', { pinPath: `${pins}/tcx` });
  assert.ok(again instanceof Link);
  assert.equal(again.info().id, info.id);
  await traffic.flows();
  again.detach();
  assert.equal(existsSync(`${pins}/tcx`), false);
  assert.throws(() => again.info(), { code: 'KERNEL', message: /EBADF/ });
});

test('a pinned link is taken over only from the same place', { skip }, async () => {
  const other = await createPair();
  const path = `${pins}/moved`;
  const link = await attachXdp(object.program('xdp_drop'), other.here, 'generic', path);
  const elsewhere = { code: 'KERNEL', message: /attached elsewhere/ };
  await assert.rejects(attachXdp(object.program('xdp_drop'), pair.here, 'generic', path), elsewhere);
  await assert.rejects(attachTcx(object.program('tc_drop'), other.here, 'ingress', path), elsewhere);
  await other.destroy();
  assert.equal(link.info().ifindex, 0);
  link.close();
  const next = await attachXdp(object.program('xdp_pass'), pair.here, 'generic', path);
  assert.equal(openPinnedLink(path).info().ifindex, pair.here);
  next.detach();
});

test('clsact: drops, is replaced in place without a gap, passes, goes', { skip }, async () => {
  const place = { handle: 7, priority: 3 };
  const filter = await attachClsact(object.program('tc_drop'), pair.here, 'ingress', place);
  assert.equal(await blocked(), true);
  assert.equal((await filter.info()).progId, object.program('tc_drop').id);
  await replaceUnderTraffic(async (name) => {
    await attachClsact(object.program(name), pair.here, 'ingress', place);
  });
  await updateLink(filter, object.program('tc_pass'));
  await traffic.flows();
  await updateLink(filter, object.program('tc_drop'));
  assert.equal(await blocked(), true);
  await filter.detach();
  await traffic.flows();
  assert.equal((await filter.info()).progId, undefined);
  assert.equal((await clsactFilter(pair.here, 'egress').info()).progId, undefined);
  assert.ok(filter instanceof ClsactFilter);
});

for (const mode of ['native', 'generic'] as const) {
  test(`XDP ${mode} on a veth: drops, is replaced in place, ends with its link`, { skip }, async () => {
    const link = await attachXdp(object.program('xdp_drop'), pair.here, mode);
    assert.equal(await blocked(), true);
    assert.deepEqual([link.info().type, link.info().ifindex], ['xdp', pair.here]);
    await assert.rejects(attachXdp(object.program('xdp_pass'), pair.here, mode), { code: 'KERNEL', message: /EBUSY/ });
    await updateLink(link, object.program('xdp_pass'));
    await traffic.flows();
    await updateLink(link, object.program('xdp_drop'));
    assert.equal(await blocked(), true);
    link.close();
    await traffic.flows();
  });
}

test('an interface inside a namespace is attached to by its path', { skip }, async () => {
  const netlink = openNetlink(pair.netns);
  const inner = await netlink.linkByName('eth0');
  netlink.close();
  assert.ok(inner);
  const attached = await attachTc(object.program('tc_drop'), inner.ifindex, 'egress', { netns: pair.netns });
  assert.equal(await blocked(), true);
  await attached.detach();
  await traffic.flows();
  const filter = await attachClsact(object.program('tc_drop'), inner.ifindex, 'egress', { netns: pair.netns });
  assert.equal(await blocked(), true);
  await filter.detach();
  await traffic.flows();
});

test('attaching to nothing says so', { skip }, async () => {
  await assert.rejects(attachXdp(object.program('xdp_drop'), 987_654, 'generic'), {
    code: 'KERNEL',
    message: /interface 987654.*ENODEV|ENODEV.*987654/,
  });
  await assert.rejects(attachClsact(object.program('tc_drop'), 987_654, 'ingress'), {
    code: 'KERNEL',
    message: /ENODEV/,
  });
  assert.throws(() => openPinnedLink(`${pins}/none`), { code: 'KERNEL', message: /ENOENT/ });
});

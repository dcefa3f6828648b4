// SPDX-License-Identifier: Apache-2.0
/** A runtime policy that is stored must never pass for one that is enforced. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConfigEntry } from '@weir/bus';
import type { DocumentError } from '../src/plan/model.ts';
import { Planner } from '../src/plan/planner.ts';
import { runtimeErrors, startRuntime } from '../src/runtime/start.ts';
import { labelledHostEntry, removal, runtimePolicyEntry } from './support/entries.ts';

const SHADOW = { kprobes: [{ call: 'sys_openat', selectors: [{ matchActions: [{ action: 'Sigkill' }] }] }] };
const AT_THE_EDGE = { ...SHADOW, nodeSelector: { matchLabels: { zone: 'edge' } } };

const planner = (...entries: ConfigEntry[]): Planner => {
  const made = new Planner({ host: 'h1', allowHost: true });
  made.setFacts({ addresses: ['192.168.0.1'], configurationComplete: true });
  for (const entry of entries) made.change(entry);
  return made;
};
/** Where no hook can be attached: on a simulated host. */
const runtime = startRuntime({
  platform: {},
  processes: { ready: Promise.resolve(), current: undefined },
  onTrouble: assert.fail,
});
const errorsOf = async (made: Planner): Promise<DocumentError[]> => {
  const { errors, runtime: wanted } = made.compute();
  assert.ok(wanted);
  return [...errors, ...runtimeErrors(await runtime.realise(wanted))];
};
const said = async (made: Planner): Promise<string[]> =>
  (await errorsOf(made)).map(({ code, message }) => `${code} ${message}`);

describe('runtime policies', () => {
  it('each says that it is not enforced, until it is removed', async () => {
    const made = planner(labelledHostEntry('h1', {}), runtimePolicyEntry('shadow', SHADOW));
    const [error] = await errorsOf(made);
    assert.equal(error?.code, 'UNSUPPORTED');
    assert.equal(error?.subject, 'weir.v1.cfg.runtimePolicy.TracingPolicy%2F-%2Fshadow');
    assert.match(
      error?.message ?? '',
      /TracingPolicy\/-\/shadow is not enforced: spec\.kprobes\[0\]: this agent attaches no hooks/,
    );
    made.change(removal('runtimePolicy', 'TracingPolicy/-/shadow'));
    assert.deepEqual(await said(made), []);
  });

  it('says nothing where the labels of the host are others, and closes in where they are not known', async () => {
    const edge = runtimePolicyEntry('edge', AT_THE_EDGE);
    assert.deepEqual(await said(planner(labelledHostEntry('h1', { zone: 'core' }), edge)), []);
    assert.equal((await said(planner(labelledHostEntry('h1', { zone: 'edge' }), edge))).length, 1);
    assert.equal((await said(planner(labelledHostEntry('h2', { zone: 'core' }), edge))).length, 1);
    const moved = planner(labelledHostEntry('h1', { zone: 'core' }), edge);
    moved.change(labelledHostEntry('h1', { zone: 'edge' }));
    assert.equal((await said(moved)).length, 1);
  });

  it('what it cannot read it says', async () => {
    const [error] = await said(planner(labelledHostEntry('h1', {}), runtimePolicyEntry('new', { hooks: [] })));
    assert.match(error ?? '', /^INVALID_ARGUMENT runtime policy TracingPolicy\/-\/new could not be read: spec\.hooks/);
  });
});

// SPDX-License-Identifier: Apache-2.0
/** What filters of runtime policies see of calls that real processes make. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import type { RuntimeCall } from '../../src/runtime/events.ts';
import { hook, PATH_ARG, runtimeScene, shown } from '../support/runtime-scene.ts';

describe('runtime policies', { skip: needKernel() }, () => {
  const scene = runtimeScene();
  const { dir, told, binaryOf, fresh } = scene;

  const secret = (operator: string, ...values: string[]) =>
    hook('openat', { matchArgs: [{ index: 1, operator, ...(values.length ? { values } : {}) }] }, PATH_ARG);

  for (const [operator, value] of [
    ['Equal', () => join(dir, 'secret')],
    ['Prefix', () => dir],
    ['Postfix', () => '/secret'],
  ] as const) {
    it(`a path: ${operator}`, async () => {
      await fresh(secret(operator, '/nowhere/at/all', value()));
      const found = await told(`cat ${dir}/secret; cat /etc/hostname`);
      assert.deepEqual(
        found.map(({ call, values }) => [call, shown(values[0])]),
        [['sys_openat', join(dir, 'secret')]],
      );
      assert.equal(found[0]?.policy, 'TracingPolicy/-/p');
      await binaryOf(found[0] as RuntimeCall);
    });
    it(`a path: Not${operator}`, async () => {
      await fresh(secret(`Not${operator}`, value()));
      const found = await told(`cat ${dir}/secret; cat /etc/hostname`);
      const paths = found.map(({ values }) => shown(values[0]));
      assert.ok(paths.includes('/etc/hostname') && !paths.includes(join(dir, 'secret')));
    });
  }

  const dup = (operator: string, ...values: string[]) =>
    hook(
      'dup2',
      { matchArgs: [{ index: 1, operator, ...(values.length ? { values } : {}) }] },
      {
        args: [
          { index: 0, type: 'fd' },
          { index: 1, type: 'int' },
        ],
      },
    );
  for (const [operator, values, expected] of [
    ['Equal', ['7', '9'], [7n, 9n]],
    ['NotEqual', ['7'], [5n, 9n]],
    ['GreaterThan', ['7'], [9n]],
    ['LessThan', ['7'], [5n]],
    ['Mask', ['2'], [7n]],
    ['InRange', ['4:6', '9:12', '20:21', '30:31', '40:41'], [5n, 9n]],
    ['NotInRange', ['4:6', '9:12'], [7n]],
  ] as const) {
    it(`a number: ${operator}`, async () => {
      await fresh(dup(operator, ...values));
      const found = await told('exec 5</dev/null 7</dev/null 9</dev/null');
      assert.deepEqual(
        found.map(({ values: [, to] }) => shown(to)).filter((to) => [5n, 7n, 9n].includes(to as bigint)),
        expected,
      );
      assert.ok(found.every(({ values: [file] }) => file?.kind === 'path'));
    });
  }

  it('an address that somebody connects to, by prefix, port and family', async () => {
    const connect = (operator: string, ...values: string[]) =>
      hook(
        'connect',
        { matchArgs: [{ index: 1, operator, ...(values.length ? { values } : {}) }] },
        {
          args: [
            { index: 0, type: 'int' },
            { index: 1, type: 'sockaddr' },
          ],
        },
      );
    const script = `for at in 127.0.0.1/9 127.9.0.1/11; do bash -c "echo > /dev/tcp/$at"; done; true`;
    for (const [spec, expected] of [
      [connect('SAddr', '127.0.0.0/16'), ['127.0.0.1 9']],
      [connect('NotSAddr', '127.0.0.0/16'), ['127.9.0.1 11']],
      [connect('SPort', '11'), ['127.9.0.1 11']],
      [connect('SPortPriv'), ['127.0.0.1 9', '127.9.0.1 11']],
      [connect('Family', 'AF_INET'), ['127.0.0.1 9', '127.9.0.1 11']],
    ] as const) {
      await fresh(spec);
      const found = await told(script);
      assert.deepEqual(
        found.map(({ values }) => shown(values[1])),
        expected,
      );
    }
  });

  it('what a call returns, and what it was given to fill', async () => {
    await fresh(
      hook(
        'read',
        {
          matchArgs: [{ index: 0, operator: 'Equal', values: [join(dir, 'secret')] }],
          matchReturnArgs: [{ index: 0, operator: 'GreaterThan', values: ['0'] }],
        },
        {
          args: [
            { index: 0, type: 'fd' },
            { index: 1, type: 'char_buf', returnCopy: true, sizeArgIndex: 3 },
            { index: 2, type: 'size_t' },
          ],
          return: true,
          returnArg: { index: 0, type: 'long' },
        },
      ),
    );
    const found = await told(`cat ${dir}/secret`);
    assert.deepEqual(
      found.map(({ result, values }) => [result, shown(values[1])]),
      [[1n, 'x']],
    );
  });

  it('binaries, parents and those that they start', async () => {
    const open = (filters: object) =>
      hook('openat', { matchArgs: [{ index: 1, operator: 'Equal', values: [`${dir}/secret`] }], ...filters }, PATH_ARG);
    const script = `cat ${dir}/secret; bash -c "head -c 1 ${dir}/secret; true"; true`;
    const by = async (filters: object): Promise<string[]> => {
      await fresh(open(filters));
      const found = await told(script);
      return (await Promise.all(found.map(binaryOf))).sort();
    };
    const cat = statSync('/bin').isDirectory() ? '/usr/bin/cat' : '/bin/cat';
    assert.deepEqual(await by({ matchBinaries: [{ operator: 'In', values: [cat] }] }), [cat]);
    assert.deepEqual(await by({ matchBinaries: [{ operator: 'NotIn', values: [cat] }] }), ['/usr/bin/head']);
    assert.deepEqual(await by({ matchBinaries: [{ operator: 'Postfix', values: ['/head', '/cat'] }] }), [
      cat,
      '/usr/bin/head',
    ]);
    assert.deepEqual(
      await by({ matchBinaries: [{ operator: 'In', values: ['/usr/bin/bash'], followChildren: true }] }),
      ['/usr/bin/head'],
    );
    assert.deepEqual(await by({ matchParentBinaries: [{ operator: 'In', values: ['/usr/bin/bash'] }] }), [
      '/usr/bin/head',
    ]);
    const pids = { operator: 'In', followForks: true, values: [process.pid] };
    assert.deepEqual(await by({ matchPIDs: [pids] }), [cat, '/usr/bin/head']);
    assert.deepEqual(await by({ matchPIDs: [{ ...pids, followForks: false }] }), []);
  });

  it('namespaces and capabilities', async () => {
    const open = (filters: object) =>
      hook('openat', { matchArgs: [{ index: 1, operator: 'Equal', values: [`${dir}/secret`] }], ...filters }, PATH_ARG);
    const count = async (filters: object): Promise<number> => {
      await fresh(open(filters));
      return (
        await told(
          `cat ${dir}/secret; unshare --uts cat ${dir}/secret; setpriv --bounding-set -sys_admin --inh-caps -sys_admin cat ${dir}/secret; true`,
        )
      ).length;
    };
    assert.equal(await count({ matchNamespaces: [{ namespace: 'Uts', operator: 'NotIn', values: ['host_ns'] }] }), 1);
    assert.equal(await count({ matchNamespaces: [{ namespace: 'Uts', operator: 'In', values: ['host_ns'] }] }), 2);
    assert.equal(
      await count({ matchCapabilities: [{ type: 'Effective', operator: 'In', values: ['CAP_SYS_ADMIN'] }] }),
      2,
    );
    assert.equal(
      await count({ matchCapabilities: [{ type: 'Permitted', operator: 'NotIn', values: ['CAP_SYS_ADMIN'] }] }),
      1,
    );
  });

  it('the first selector counts; NoPost is silent, and Post only so often', async () => {
    const at = (operator: string, value: string, action: object) => ({
      matchArgs: [{ index: 1, operator, values: [value] }],
      matchActions: [action],
    });
    const spec = {
      kprobes: [
        {
          call: 'sys_openat',
          syscall: true,
          ...PATH_ARG,
          selectors: [
            at('Postfix', '/secret', { action: 'NoPost' }),
            at('Prefix', dir, { action: 'Post', rateLimit: '10m', rateLimitScope: 'global' }),
          ],
        },
      ],
    };
    await fresh(spec);
    const found = await told(`cat ${dir}/secret; cat ${dir}/a; cat ${dir}/a; cat ${dir}/b; true`);
    assert.deepEqual(
      found.map(({ selector, values }) => [selector, shown(values[0])]),
      [
        [1, join(dir, 'a')],
        [1, join(dir, 'b')],
      ],
    );
    assert.deepEqual(
      scene.runtime.counts().map(({ counts }) => [counts.no_post, counts.post, counts.limited]),
      [
        [1n, 0n, 0n],
        [0n, 2n, 1n],
      ],
    );
  });
});

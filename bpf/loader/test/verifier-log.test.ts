// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { libbpfWarnings, readVerifierLog } from '../src/verifier-log.ts';

const body = [
  'Live regs before insn:',
  '0: R1=ctx() R10=fp0',
  '; int first(struct xdp_md *ctx) @ a.bpf.c:3',
  ...Array.from({ length: 40 }, (_, i) => `${i}: (b7) r${i % 10} = ${i}     ; R1_w=${i}`),
  '; return data[40]; @ a.bpf.c:12',
  '40: (71) r0 = *(u8 *)(r1 +40)',
  'invalid access to packet, off=40 size=1, R1(id=0,off=40,r=0)',
  'R1 offset is outside of the packet',
  'processed 41 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0',
];
const log = [
  "libbpf: prog 'first': BPF program load failed: Permission denied",
  "libbpf: prog 'first': -- BEGIN PROG LOAD LOG --",
  ...body,
  '-- END PROG LOAD LOG --',
  "libbpf: prog 'first': failed to load: -13",
  '',
].join('\n');

test('the end of the log is kept: reason, last instructions, their C line', () => {
  const verdict = readVerifierLog(log);
  assert.equal(verdict?.program, 'first');
  assert.equal(verdict?.reason, 'R1 offset is outside of the packet');
  assert.equal(verdict?.source, 'a.bpf.c:12: return data[40];');
  const lines = verdict?.log.split('\n') ?? [];
  assert.equal(lines[0], '; int first(struct xdp_md *ctx) @ a.bpf.c:3');
  assert.ok(lines.includes('39: (b7) r9 = 39'), 'register states of earlier instructions are cut');
  assert.equal(lines.at(-1), verdict?.reason);
  assert.ok(lines.length <= 18, String(lines.length));
  assert.doesNotMatch(verdict?.log ?? '', /processed/);
});

test('without line numbers the C line alone; without a log nothing', () => {
  assert.equal(readVerifierLog(log.replaceAll(/ @ .*$/gm, ''))?.source, 'return data[40];');
  assert.equal(readVerifierLog("libbpf: map 'x': failed to create\n"), undefined);
  assert.equal(readVerifierLog(''), undefined);
});

test('what libbpf says itself is one line for each warning', () => {
  assert.deepEqual(libbpfWarnings(log), [
    "prog 'first': BPF program load failed: Permission denied",
    "prog 'first': failed to load: -13",
  ]);
});

// SPDX-License-Identifier: Apache-2.0
/** Services may not import the datapath, so its numbers stand in the protocol too: here both are compared. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DescEnum, getOption } from '@bufbuild/protobuf';
import { DropReasonSchema, text } from '@weir/proto/weir/flow/v1/drop_reason_pb.js';
import {
  DirectionSchema,
  ReportSchema,
  SockXlatePointSchema,
  TracePointSchema,
  TraceReasonSchema,
  VerdictSchema,
} from '@weir/proto/weir/flow/v1/flow_pb.js';
import * as bpf from '../gen/index.ts';

test('drop reasons of the protocol are those of the datapath, with the same texts', () => {
  const spoken = Object.fromEntries(
    DropReasonSchema.values.map((value) => [
      value.number,
      { name: value.name.replace('DROP_REASON_', '').replace(/^UNSPECIFIED$/, 'NONE'), text: getOption(value, text) },
    ]),
  );
  assert.deepEqual(spoken, { ...bpf.DROP_TEXT });
});

/** Names behind their prefix, without the value for "not given". */
const spokenNames = ({ values, sharedPrefix }: DescEnum): Record<string, number> =>
  Object.fromEntries(
    values
      .filter(({ number }) => number !== 0)
      .map(({ name, number }) => [name.slice((sharedPrefix ?? '').length), number]),
  );

const kernelNames = (values: Readonly<Record<string, number>>, prefix: string): Record<string, number> =>
  Object.fromEntries(
    Object.entries(values)
      .filter(([, number]) => number !== 0)
      .map(([name, number]) => [name.slice(prefix.length), number]),
  );

const PAIRS: readonly [string, DescEnum, Readonly<Record<string, number>>, string][] = [
  ['verdict', VerdictSchema, bpf.weir_verdict, 'VERDICT_'],
  ['direction', DirectionSchema, bpf.weir_direction, 'DIRECTION_'],
  ['trace point', TracePointSchema, bpf.weir_trace_point, 'TRACE_'],
  ['trace reason', TraceReasonSchema, bpf.weir_trace_reason, 'TRACE_REASON_'],
  ['report', ReportSchema, bpf.weir_report, 'REPORT_'],
  ['point of a socket', SockXlatePointSchema, bpf.weir_sock_xlate, 'SOCK_XLATE_'],
];

for (const [what, spoken, kernel, prefix] of PAIRS) {
  test(`${what}: the protocol has the datapath's names and numbers`, () => {
    assert.deepEqual(spokenNames(spoken), kernelNames(kernel, prefix));
  });
}

// SPDX-License-Identifier: Apache-2.0
/**
 * Names of the numbers in flows, as users see and write them, taken from the enums of the protocol. A number that
 * only a newer agent knows is shown as UNKNOWN(n).
 */
import type { DescEnum } from '@bufbuild/protobuf';
import { getOption } from '@bufbuild/protobuf';
import { FrontendTypeSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { DropReasonSchema, text } from '@weir/proto/weir/flow/v1/drop_reason_pb.js';
import {
  DirectionSchema,
  ReportSchema,
  SockXlatePointSchema,
  TracePointSchema,
  TraceReasonSchema,
  VerdictSchema,
} from '@weir/proto/weir/flow/v1/flow_pb.js';

export interface NameTable {
  /** In the order of their numbers, without the unspecified one. */
  readonly names: readonly string[];
  name(value: number): string;
  /** In any case; undefined when there is no such name. */
  number(name: string): number | undefined;
}

const enumTable = (schema: DescEnum, spell: (name: string) => string = (name) => name): NameTable => {
  const prefix = schema.sharedPrefix?.toUpperCase() ?? '';
  const values = schema.values.map(({ name, number }) => ({ number, name: spell(name.slice(prefix.length)) }));
  const byNumber = new Map(values.map(({ name, number }) => [number, name]));
  const byName = new Map(values.map(({ name, number }) => [name.toLowerCase(), number]));
  return {
    names: values.filter(({ number }) => number !== 0).map(({ name }) => name),
    name: (value) => (value === 0 ? 'UNKNOWN' : (byNumber.get(value) ?? `UNKNOWN(${value})`)),
    number: (name) => byName.get(name.toLowerCase()),
  };
};

/** Cilium's spelling: to-endpoint. */
const dashed = (name: string): string => name.toLowerCase().replaceAll('_', '-');

export const VERDICTS = enumTable(VerdictSchema);
/** Staged policies forward or drop. */
export const PENDING_VERDICTS: NameTable = { ...VERDICTS, names: ['FORWARDED', 'DROPPED'] };
export const DIRECTIONS = enumTable(DirectionSchema);
export const TRACE_POINTS = enumTable(TracePointSchema, dashed);
export const TRACE_REASONS = enumTable(TraceReasonSchema);
export const REPORTS = enumTable(ReportSchema);
export const SOCK_XLATE_POINTS = enumTable(SockXlatePointSchema);
export const DROP_REASONS = enumTable(DropReasonSchema);
export const FRONTEND_TYPES = enumTable(FrontendTypeSchema);

const dropTexts = new Map(DropReasonSchema.values.map((value) => [value.number, getOption(value, text)]));

export const dropReasonText = (code: number): string => dropTexts.get(code) ?? `Unknown drop reason ${code}`;

/** Code by number, name or text; undefined when it is none of them. */
export const dropReasonCode = (given: string): number | undefined => {
  if (/^[0-9]{1,3}$/.test(given)) return Number(given);
  const wanted = given.toLowerCase();
  return (
    DROP_REASONS.number(given) ?? [...dropTexts].find(([, known]) => known.toLowerCase() === wanted)?.[0] ?? undefined
  );
};

/** As Hubble names them; bit by bit. */
const TCP_FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR', 'NS'] as const;

export const tcpFlagNames = (flags: number): string[] => TCP_FLAGS.filter((_, bit) => (flags >> bit) & 1);

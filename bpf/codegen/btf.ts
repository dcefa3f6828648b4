// SPDX-License-Identifier: Apache-2.0
/**
 * Parses a .BTF section (Documentation/bpf/btf.rst of Linux) into records whose references are still
 * type ids. Invariant: `types[id]` is type `id`; id 0 is void.
 */
import { weirError } from '@weir/errors';

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0 = not a bitfield. */
  readonly bitSize: number;
}
export interface BtfEnumerator {
  readonly name: string;
  readonly value: bigint;
}
export interface BtfSectionVar {
  readonly type: number;
  readonly size: number;
}

export type BtfType =
  | { readonly kind: 'void' }
  | {
      readonly kind: 'int';
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly bool: boolean;
    }
  | { readonly kind: 'ptr' | 'const' | 'volatile' | 'restrict'; readonly type: number }
  | { readonly kind: 'typedef' | 'type_tag'; readonly name: string; readonly type: number }
  | { readonly kind: 'array'; readonly type: number; readonly length: number }
  | {
      readonly kind: 'struct' | 'union';
      readonly name: string;
      readonly size: number;
      readonly members: readonly BtfMember[];
    }
  | { readonly kind: 'enum'; readonly name: string; readonly size: number; readonly values: readonly BtfEnumerator[] }
  | { readonly kind: 'var'; readonly name: string; readonly type: number; readonly linkage: number }
  | { readonly kind: 'datasec'; readonly name: string; readonly vars: readonly BtfSectionVar[] }
  | { readonly kind: 'decl_tag'; readonly name: string; readonly type: number; readonly component: number }
  /** A struct or union that is only declared here. */
  | { readonly kind: 'fwd'; readonly name: string }
  | { readonly kind: 'other'; readonly name: string };

export interface Btf {
  readonly file: string;
  readonly types: readonly BtfType[];
}

const BTF_MAGIC = 0xeb9f;
const KIND = {
  int: 1,
  ptr: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  fwd: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  func: 12,
  funcProto: 13,
  var: 14,
  datasec: 15,
  float: 16,
  declTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

const INT_SIGNED = 1;
const INT_BOOL = 4;

interface Header {
  readonly kind: number;
  readonly kindFlag: boolean;
  readonly vlen: number;
  readonly name: string;
  /** Size of the type, or the type referred to. */
  readonly sizeOrType: number;
}

/** Reads the `count` records of `bytes` each that follow a type's header. */
const readList = <T>(count: number, bytes: number, at: number, read: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => read(at + index * bytes));

const signedOrNot = (low: number, high: number, signed: boolean, bits: number): bigint => {
  const value = (BigInt(high) << 32n) | BigInt(low);
  return signed ? BigInt.asIntN(bits, value) : value;
};

/** One type: the record and how many bytes follow its 12-byte header. */
const readType = (data: Buffer, at: number, h: Header, string: (at: number) => string): [BtfType, number] => {
  const u32 = (offset: number): number => data.readUInt32LE(offset);
  const { name, vlen } = h;
  switch (h.kind) {
    case KIND.int: {
      const encoding = (u32(at) >>> 24) & 0xf;
      const signed = (encoding & INT_SIGNED) !== 0;
      return [{ kind: 'int', name, size: h.sizeOrType, signed, bool: (encoding & INT_BOOL) !== 0 }, 4];
    }
    case KIND.ptr:
      return [{ kind: 'ptr', type: h.sizeOrType }, 0];
    case KIND.const:
      return [{ kind: 'const', type: h.sizeOrType }, 0];
    case KIND.volatile:
      return [{ kind: 'volatile', type: h.sizeOrType }, 0];
    case KIND.restrict:
      return [{ kind: 'restrict', type: h.sizeOrType }, 0];
    case KIND.typedef:
      return [{ kind: 'typedef', name, type: h.sizeOrType }, 0];
    case KIND.typeTag:
      return [{ kind: 'type_tag', name, type: h.sizeOrType }, 0];
    case KIND.array:
      return [{ kind: 'array', type: u32(at), length: u32(at + 8) }, 12];
    case KIND.struct:
    case KIND.union: {
      const members = readList(vlen, 12, at, (m): BtfMember => {
        const offset = u32(m + 8);
        return {
          name: string(u32(m)),
          type: u32(m + 4),
          bitOffset: h.kindFlag ? offset & 0xffffff : offset,
          bitSize: h.kindFlag ? offset >>> 24 : 0,
        };
      });
      return [{ kind: h.kind === KIND.struct ? 'struct' : 'union', name, size: h.sizeOrType, members }, vlen * 12];
    }
    case KIND.enum: {
      const values = readList(vlen, 8, at, (v): BtfEnumerator => {
        return { name: string(u32(v)), value: signedOrNot(u32(v + 4), 0, h.kindFlag, 32) };
      });
      return [{ kind: 'enum', name, size: h.sizeOrType, values }, vlen * 8];
    }
    case KIND.enum64: {
      const values = readList(vlen, 12, at, (v): BtfEnumerator => {
        return { name: string(u32(v)), value: signedOrNot(u32(v + 4), u32(v + 8), h.kindFlag, 64) };
      });
      return [{ kind: 'enum', name, size: h.sizeOrType, values }, vlen * 12];
    }
    case KIND.var:
      return [{ kind: 'var', name, type: h.sizeOrType, linkage: u32(at) }, 4];
    case KIND.datasec: {
      const vars = readList(vlen, 12, at, (v): BtfSectionVar => ({ type: u32(v), size: u32(v + 8) }));
      return [{ kind: 'datasec', name, vars }, vlen * 12];
    }
    case KIND.declTag:
      return [{ kind: 'decl_tag', name, type: h.sizeOrType, component: data.readInt32LE(at) }, 4];
    case KIND.funcProto:
      return [{ kind: 'other', name }, vlen * 8];
    case KIND.fwd:
      return [{ kind: 'fwd', name }, 0];
    case KIND.func:
    case KIND.float:
      return [{ kind: 'other', name }, 0];
    default:
      throw weirError('UNSUPPORTED', `BTF kind ${h.kind} is not known`, {
        field: 'kind',
        value: h.kind,
        fix: 'build with clang 14 to 19, or teach bpf/codegen/btf.ts the new kind',
      });
  }
};

export const parseBtf = (section: Buffer, file: string): Btf => {
  if (section.length < 24 || section.readUInt16LE(0) !== BTF_MAGIC) {
    throw weirError('INVALID_ARGUMENT', `${file} has no BTF`, { field: 'file', value: file, fix: 'build it with -g' });
  }
  const body = section.subarray(section.readUInt32LE(4));
  const typesAt = section.readUInt32LE(8);
  const typesEnd = typesAt + section.readUInt32LE(12);
  const stringsAt = section.readUInt32LE(16);
  const string = (at: number): string => {
    const start = stringsAt + at;
    return body.toString('utf8', start, body.indexOf(0, start));
  };
  const types: BtfType[] = [{ kind: 'void' }];
  for (let at = typesAt; at < typesEnd; ) {
    const info = body.readUInt32LE(at + 4);
    const header: Header = {
      kind: (info >>> 24) & 0x1f,
      kindFlag: info >>> 31 === 1,
      vlen: info & 0xffff,
      name: string(body.readUInt32LE(at)),
      sizeOrType: body.readUInt32LE(at + 8),
    };
    const [type, followed] = readType(body, at + 12, header, string);
    types.push(type);
    at += 12 + followed;
  }
  return { file, types };
};

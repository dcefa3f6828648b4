// SPDX-License-Identifier: Apache-2.0
/**
 * A typed subject: its literal shape, its parameters and its message in one value. Parameters are taken from the
 * shape by the compiler, so a missing or misspelt one does not compile; a payload of another message doesn't either.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { isWeirError, weirError } from '@weir/errors';
import { decodeToken, encodeToken } from './token.ts';

/** Names in braces of a subject's shape: 'evt.{host}.{kind}' -> 'host' | 'kind'. */
export type ParamNames<Shape extends string> = Shape extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamNames<Rest>
  : never;
export type Params<Shape extends string> = { readonly [Name in ParamNames<Shape>]: string };

export interface Subject<Shape extends string, Desc extends DescMessage> {
  readonly shape: Shape;
  readonly schema: Desc;
  /** Shape with `*` for each parameter: what to subscribe to for all. */
  readonly wildcard: string;
  build(params: Params<Shape>): string;
  /** `*` for each parameter that is not given. */
  match(params: Partial<Params<Shape>>): string;
  /** Parameters of a literal subject; undefined when it is not of this shape. */
  parse(subject: string): Params<Shape> | undefined;
  encode(message: MessageInitShape<Desc>): Uint8Array;
  /** Throws MALFORMED; `subject` is only for the error. */
  decode(bytes: Uint8Array, subject?: string): MessageShape<Desc>;
}

const PARAM = /^\{([a-z][a-z0-9_]*)\}$/;

export const subject = <const Shape extends string, Desc extends DescMessage>(
  shape: Shape,
  schema: Desc,
): Subject<Shape, Desc> => {
  const parts = shape.split('.').map((part) => ({ part, name: PARAM.exec(part)?.[1] }));
  const render = (params: Readonly<Record<string, string | undefined>>, missing: (name: string) => string): string =>
    parts
      .map(({ part, name }) => {
        if (name === undefined) return part;
        const value = params[name];
        return value === undefined ? missing(name) : encodeToken(value);
      })
      .join('.');
  return {
    shape,
    schema,
    wildcard: render({}, () => '*'),
    build: (params) =>
      render(params as Record<string, string>, (name) => {
        throw weirError('INVALID_ARGUMENT', `subject ${shape} needs {${name}}`, { field: name });
      }),
    match: (params) => render(params as Record<string, string>, () => '*'),
    parse: (text) => {
      const tokens = text.split('.');
      if (tokens.length !== parts.length) return undefined;
      const params: Record<string, string> = {};
      for (const [index, { part, name }] of parts.entries()) {
        const token = tokens[index] as string;
        if (name === undefined) {
          if (token !== part) return undefined;
          continue;
        }
        const value = decodeToken(token);
        if (value === undefined) return undefined;
        params[name] = value;
      }
      return params as Params<Shape>;
    },
    encode: (message) => toBinary(schema, create(schema, message)),
    decode: (bytes, text = shape) => {
      try {
        return fromBinary(schema, bytes);
      } catch (cause) {
        if (isWeirError(cause)) throw cause;
        throw weirError('MALFORMED', `a message on ${text} is not a ${schema.typeName}`, {
          field: text,
          fix: `send ${schema.typeName}`,
          cause,
        });
      }
    },
  };
};

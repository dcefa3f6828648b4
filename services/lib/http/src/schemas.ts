// SPDX-License-Identifier: Apache-2.0
/** Schemas that every API shares, and the way to give a schema a name in the OpenAPI document. */
import { ERROR_CODES } from '@weir/errors';
import { type Static, type TSchema, Type } from 'typebox';

/** Names a schema: it becomes a component of the OpenAPI document. Pass it to `createHttp({ schemas })`. */
export const named = <S extends TSchema>(name: string, schema: S): S => ({ ...schema, $id: name });

/** A reference to a named schema, with its type. */
export const ref = <S extends TSchema>(schema: S) => {
  const { $id } = schema as { $id?: string };
  if ($id === undefined) throw new TypeError('ref() needs a schema made by named()');
  return Type.Unsafe<Static<S>>({ $ref: `${$id}#` });
};

/** A value that may be missing is null in answers, never absent: readers see that the field exists. */
export const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

export const FieldIssueSchema = named(
  'FieldIssue',
  Type.Object(
    {
      path: Type.String({ description: 'Where, such as spec.ingress[0].ports' }),
      message: Type.String(),
      value: Type.Optional(Type.Unknown()),
      fix: Type.Optional(Type.String({ description: 'What would work' })),
      line: Type.Optional(Type.Integer({ minimum: 1 })),
      column: Type.Optional(Type.Integer({ minimum: 1 })),
      document: Type.Optional(Type.String()),
    },
    { description: 'One thing wrong at one place' },
  ),
);

export const ProblemSchema = named(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'urn:weir:error:<code>' }),
      title: Type.String(),
      status: Type.Integer(),
      code: Type.Union(Object.keys(ERROR_CODES).map((code) => Type.Literal(code))),
      detail: Type.String(),
      field: Type.Optional(Type.String()),
      value: Type.Optional(Type.Unknown()),
      fix: Type.Optional(Type.String()),
      current: Type.Optional(Type.String({ description: 'With PRECONDITION_FAILED: the ETag as it is now' })),
      line: Type.Optional(Type.Integer()),
      column: Type.Optional(Type.Integer()),
      errors: Type.Optional(Type.Array(ref(FieldIssueSchema))),
      trace_id: Type.Optional(Type.String()),
    },
    { description: 'Problem details (RFC 9457); media type application/problem+json' },
  ),
);

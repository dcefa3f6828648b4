// SPDX-License-Identifier: Apache-2.0
/**
 * protobuf-es descriptors as grpc-js service definitions: the messages that our code sees are those of protobuf-es
 * (bigint, bytes, typed oneofs), the wire and the calls are grpc-js's.
 */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { type WeirError, weirError } from '@weir/errors';

/** Request or answer of a method, by the method's own descriptor. */
export type Input<M> = M extends { input: infer I extends DescMessage } ? I : never;
export type Output<M> = M extends { output: infer O extends DescMessage } ? O : never;

export type UnaryKeys<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K] extends { methodKind: 'unary' } ? K : never;
}[keyof S['method']];

export type StreamKeys<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K] extends { methodKind: 'server_streaming' } ? K : never;
}[keyof S['method']];

const serialize =
  <D extends DescMessage>(schema: D) =>
  (message: MessageInitShape<D>): Buffer => {
    const bytes = toBinary(schema, create(schema, message));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };

const deserialize =
  <D extends DescMessage>(schema: D) =>
  (bytes: Buffer): MessageShape<D> =>
    fromBinary(schema, bytes);

/** A request that is no message of its type: refused by the handler, in our terms, instead of as an internal error. */
export class Unreadable {
  readonly error: WeirError;

  constructor(type: string, cause: unknown) {
    this.error = weirError('MALFORMED', `the request is not a ${type}`, {
      field: 'request',
      fix: 'encode it after the .proto of this API, which reflection serves',
      cause,
    });
  }
}

const deserializeRequest = <D extends DescMessage>(schema: D) => {
  const read = deserialize(schema);
  return (bytes: Buffer): unknown => {
    try {
      return read(bytes);
    } catch (cause) {
      return new Unreadable(schema.typeName, cause);
    }
  };
};

export const methodDefinition = (method: DescMethod): MethodDefinition<unknown, unknown> => {
  if (method.methodKind !== 'unary' && method.methodKind !== 'server_streaming') {
    throw new TypeError(`${method.parent.typeName}.${method.name}: ${method.methodKind} is not supported`);
  }
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: method.methodKind === 'server_streaming',
    requestSerialize: serialize(method.input) as (value: unknown) => Buffer,
    requestDeserialize: deserializeRequest(method.input),
    responseSerialize: serialize(method.output) as (value: unknown) => Buffer,
    responseDeserialize: deserialize(method.output),
    originalName: method.localName,
  };
};

export const serviceDefinition = (service: DescService): ServiceDefinition =>
  Object.fromEntries(
    service.methods.map((method) => [method.localName, methodDefinition(method)]),
  ) as ServiceDefinition;

// SPDX-License-Identifier: Apache-2.0
/**
 * Checks and writers of routes are made of their schemas when the first request needs them: a service has some five hundred,
 * each a program of its own, and half the time of its start would go into those that nobody asks for.
 *
 * A schema that is none is found when the OpenAPI document is made, which tests do, not by the first request for it.
 */
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';
import type { Ajv2020, ValidateFunction } from 'ajv/dist/2020.js';
import type { FastifySchemaCompiler } from 'fastify';

declare module 'fastify' {
  interface FastifyInstance {
    /** Makes every check and writer that was not needed yet; throws what a request would have met. */
    compileAll(): void;
  }
}

/** Bodies go by one, everything that is text by nature by the other. */
export interface Validators {
  readonly literal: Ajv2020;
  readonly coercing: Ajv2020;
}

export interface Compilers {
  readonly validator: FastifySchemaCompiler<object>;
  readonly buildSerializer: ReturnType<typeof SerializerSelector>;
  readonly compileAll: () => void;
}

export const lazyCompilers = ({ literal, coercing }: Validators): Compilers => {
  const all: (() => unknown)[] = [];
  const once = <T>(make: () => T): (() => T) => {
    let made: { readonly value: T } | undefined;
    const get = (): T => {
      made ??= { value: make() };
      return made.value;
    };
    all.push(get);
    return get;
  };

  return {
    validator: ({ schema, httpPart }) => {
      const ajv = httpPart === 'body' ? literal : coercing;
      const compiled = once(() => ajv.compile(schema));
      all.push(() => ajv.validateSchema(schema, true));
      // What was wrong is a property of the function that said so.
      const validate = (value: unknown): boolean => {
        const check = compiled();
        const ok = check(value);
        validate.errors = check.errors;
        return ok;
      };
      validate.errors = undefined as ValidateFunction['errors'];
      return validate;
    },
    buildSerializer: (schemas, options) => {
      const build = once(() => SerializerSelector()(schemas, options));
      return (route) => {
        const compiled = once(() => build()(route));
        return (value) => compiled()(value);
      };
    },
    compileAll: () => {
      for (const make of all) make();
    },
  };
};

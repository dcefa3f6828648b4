// SPDX-License-Identifier: Apache-2.0
/**
 * The closed set of error codes of the platform, each with what it is called in HTTP (RFC 9110)
 * and in gRPC (status codes of grpc/grpc doc/statuscodes.md). Every error that leaves a process has one of these.
 * `meaning` says when it comes and what to do; infra/docs/errors.md is made of this list.
 */
export const ERROR_CODES = {
  MALFORMED: {
    status: 400,
    grpc: 3,
    title: 'The request could not be read',
    meaning:
      'No JSON, nested too deep, a wrong length, a cursor that is not of this list. Sending it again does not help.',
  },
  UNAUTHENTICATED: {
    status: 401,
    grpc: 16,
    title: 'Not authenticated',
    meaning: 'Who asks is not known. Send credentials that are valid.',
  },
  FORBIDDEN: {
    status: 403,
    grpc: 7,
    title: 'Not allowed',
    meaning: 'Who asks is known and may not do this.',
  },
  NOT_FOUND: {
    status: 404,
    grpc: 5,
    title: 'Not found',
    meaning: 'There is no such object or path; `fix` says where what exists is listed.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    grpc: 12,
    title: 'Not something this can do',
    meaning: 'The path exists, but not with this method; `Allow` has those that it takes.',
  },
  CONFLICT: {
    status: 409,
    grpc: 6,
    title: 'In conflict with what exists',
    meaning:
      'A name or address is taken, something is in use, or the same Idempotency-Key is being answered (then with Retry-After).',
  },
  PRECONDITION_FAILED: {
    status: 412,
    grpc: 9,
    title: 'Changed meanwhile',
    meaning: 'If-Match or If-None-Match (if_revision, if_absent) does not hold; `current` is the ETag as it is.',
  },
  TOO_LARGE: {
    status: 413,
    grpc: 8,
    title: 'Too large',
    meaning: 'The body, a document, or what would come of it is over its bound. Split it.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    grpc: 3,
    title: 'Not in a form that is understood',
    meaning: 'The Content-Type is not one that this path reads.',
  },
  INVALID_ARGUMENT: {
    status: 422,
    grpc: 3,
    title: 'A value is not valid',
    meaning:
      'It can be read, but a value or a name in it is wrong; `field`, `value` and `fix` say which, `errors` lists all.',
  },
  UNSUPPORTED: {
    status: 422,
    grpc: 12,
    title: 'Not supported yet',
    meaning: 'It is right, and this version cannot do it.',
  },
  RATE_LIMITED: {
    status: 429,
    grpc: 8,
    title: 'Too many requests',
    meaning: 'More requests or streams than one address may have. Come back after Retry-After.',
  },
  INTERNAL: {
    status: 500,
    grpc: 13,
    title: 'Internal error',
    meaning: 'A fault of ours; the log of the service has it under the `trace_id` of the answer.',
  },
  KERNEL: {
    status: 500,
    grpc: 13,
    title: 'The kernel refused',
    meaning: 'A system call of an agent failed; its log has the operation and the errno.',
  },
  UNAVAILABLE: {
    status: 503,
    grpc: 14,
    title: 'Not available now',
    meaning: 'The database or the bus is away, or the service is ending. Come back after Retry-After.',
  },
  OVERLOADED: {
    status: 503,
    grpc: 14,
    title: 'Overloaded',
    meaning: 'Refused before anything was done, since too much waits already. Send the same again after Retry-After.',
  },
  DEADLINE_EXCEEDED: {
    status: 504,
    grpc: 4,
    title: 'Not done in time',
    meaning: 'The deadline of the call passed, or the longest time that a call without one gets.',
  },
} as const satisfies Record<string, { status: number; grpc: number; title: string; meaning: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

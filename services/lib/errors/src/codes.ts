// SPDX-License-Identifier: Apache-2.0
/**
 * The closed set of error codes of the platform, each with what it is called in HTTP (RFC 9110)
 * and in gRPC (status codes of grpc/grpc doc/statuscodes.md). Every error that leaves a process has one of these.
 */
export const ERROR_CODES = {
  MALFORMED: { status: 400, grpc: 3, title: 'The request could not be read' },
  UNAUTHENTICATED: { status: 401, grpc: 16, title: 'Not authenticated' },
  FORBIDDEN: { status: 403, grpc: 7, title: 'Not allowed' },
  NOT_FOUND: { status: 404, grpc: 5, title: 'Not found' },
  CONFLICT: { status: 409, grpc: 6, title: 'In conflict with what exists' },
  PRECONDITION_FAILED: { status: 412, grpc: 9, title: 'Changed meanwhile' },
  TOO_LARGE: { status: 413, grpc: 8, title: 'Too large' },
  INVALID_ARGUMENT: { status: 422, grpc: 3, title: 'A value is not valid' },
  UNSUPPORTED: { status: 422, grpc: 12, title: 'Not supported yet' },
  RATE_LIMITED: { status: 429, grpc: 8, title: 'Too many requests' },
  INTERNAL: { status: 500, grpc: 13, title: 'Internal error' },
  KERNEL: { status: 500, grpc: 13, title: 'The kernel refused' },
  UNAVAILABLE: { status: 503, grpc: 14, title: 'Not available now' },
} as const satisfies Record<string, { status: number; grpc: number; title: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

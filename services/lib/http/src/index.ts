// SPDX-License-Identifier: Apache-2.0
export { parseJson, textBodies, YAML_TYPES } from './bodies.ts';
export { changeRoutes } from './changes.ts';
export { createHttp, type HttpApp, type HttpLimits, type HttpOptions } from './create-http.ts';
export { type Docs, openapiText } from './documentation.ts';
export {
  EVENT_STREAM_RESPONSE,
  LastEventId,
  readerSignal,
  type StreamEvent,
  sendEvents,
} from './event-stream.ts';
export type { ReadyChecks } from './health.ts';
export { idempotencyHeader, type OnceOfRequest, onceOf } from './idempotency.ts';
export { LINES_RESPONSE, sendLines } from './lines.ts';
export { type ListenOptions, listen, type RunningService, runService } from './listen.ts';
export {
  type CursorFilter,
  Cursors,
  mapPage,
  PAGE_LIMIT_DEFAULT,
  PAGE_LIMIT_MAX,
  type Page,
  PageQuery,
  pageOf,
  pageQuery,
} from './pages.ts';
export { etag, requireMatch, requireNoneMatch } from './preconditions.ts';
export { PROBLEM_TYPE, sendProblem } from './problems.ts';
export { FieldIssueSchema, named, nullable, ProblemSchema, ref } from './schemas.ts';
export { checked, issuesError, suggest } from './validation.ts';

// SPDX-License-Identifier: Apache-2.0
/** W3C trace context in NATS headers, so that one trace runs from the API call to the map write on every host. */

import { headers, type MsgHdrs } from '@nats-io/nats-core';
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
  type TextMapSetter,
} from '@opentelemetry/api';

const setter: TextMapSetter<MsgHdrs> = { set: (carrier, key, value) => carrier.set(key, value) };
const getter: TextMapGetter<MsgHdrs> = {
  get: (carrier, key) => (carrier.has(key) ? carrier.get(key) : undefined),
  keys: (carrier) => carrier.keys(),
};

/** Headers with the active (or given) trace. */
export const traceHeaders = (base: MsgHdrs = headers(), from: Context = context.active()): MsgHdrs => {
  propagation.inject(from, base, setter);
  return base;
};

/** The sender's trace: run a handler inside it with `context.with`. */
export const traceContext = (received: MsgHdrs | undefined): Context =>
  received === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, received, getter);

const W3C_FIELDS = ['traceparent', 'tracestate'] as const;

/** The sender's trace as plain strings, to be kept with what was received. */
export const receivedTrace = (received: MsgHdrs | undefined): Record<string, string> =>
  Object.fromEntries(W3C_FIELDS.flatMap((name) => (received?.has(name) ? [[name, received.get(name)]] : [])));

/** The active trace as plain strings, to be stored beside a row. */
export const traceFields = (): Record<string, string> => {
  const fields: Record<string, string> = {};
  propagation.inject(context.active(), fields);
  return fields;
};

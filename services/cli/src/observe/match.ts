// SPDX-License-Identifier: Apache-2.0
/** Whether a flow is one that filters ask for; used for what the service cannot filter, and for flows from a file. */
import { cidrContainsIp, parseCidr, parseIp, parseLabelSelector, protocolNumber, selectorMatches } from '@weir/net';
import type { Flow, FlowEnd, ServiceName } from '../output/flow.ts';
import { EVENT_TYPES, TRACE_POINT_NAMES } from './event-types.ts';
import { type EventType, type Filters, type FlowFilter, usage } from './filter.ts';

type Test = (flow: Flow) => boolean;

/** Given several times: any of them. */
const any =
  <V>(values: readonly V[] | undefined, test: (value: V) => Test): Test =>
  (flow) =>
    values === undefined || values.some((value) => test(value)(flow));

/** Workload without its namespace, which ids carry in front. */
const nameOf = ({ workload, namespace }: FlowEnd): string | null => {
  if (workload === null) return null;
  const name = workload.slice(workload.lastIndexOf('/') + 1);
  return namespace && name.startsWith(`${namespace}.`) ? name.slice(namespace.length + 1) : name;
};

const byIp = (flag: string, text: string): ((end: Pick<FlowEnd, 'ip'>) => boolean) => {
  try {
    const cidr = parseCidr(text, { allowAddress: true });
    return ({ ip }) => cidrContainsIp(cidr, parseIp(ip));
  } catch (error) {
    throw usage(`${flag}: ${(error as Error).message}`);
  }
};

/** [namespace/]prefix, as Hubble matches pods. */
const byPod = (text: string): ((end: FlowEnd) => boolean) => {
  const slash = text.indexOf('/');
  const [namespace, prefix] = slash < 0 ? ['', text] : [text.slice(0, slash), text.slice(slash + 1)];
  return (end) =>
    (nameOf(end) ?? '').startsWith(prefix) && (namespace === '' ? end.namespace !== null : end.namespace === namespace);
};

const byWorkload = (text: string): ((end: FlowEnd) => boolean) => {
  const slash = text.indexOf('/');
  const [namespace, name] = slash < 0 ? [undefined, text] : [text.slice(0, slash), text.slice(slash + 1)];
  return (end) => nameOf(end) === name && (namespace === undefined || end.namespace === namespace);
};

/** [namespace/]prefix, as Hubble matches services. */
const byService = (text: string): ((service: ServiceName | null | undefined) => boolean) => {
  const slash = text.indexOf('/');
  const [namespace, prefix] = slash < 0 ? [undefined, text] : [text.slice(0, slash), text.slice(slash + 1)];
  return (service) =>
    !!service && service.name.startsWith(prefix) && (namespace === undefined || service.namespace === namespace);
};

const byIdentity = (text: string): ((end: FlowEnd) => boolean) =>
  /^\d+$/.test(text)
    ? ({ identity }) => identity === Number(text)
    : ({ labels }) => labels.includes(`reserved:${text.replace(/^reserved:/, '')}`);

const endTest = (filter: FlowFilter, end: 'source' | 'destination'): Test[] => {
  const at =
    (test: (one: FlowEnd) => boolean): Test =>
    (flow) =>
      test(flow[end]);
  const selectors = filter[`${end}_label`]?.map((text) => parseLabelSelector('label', text));
  const addresses = filter[`${end}_ip`]?.map((text) => byIp(`${end}_ip`, text));
  return [
    any(addresses, at),
    any(filter[`${end}_pod`], (text) => at(byPod(text))),
    any(filter[`${end}_workload`], ({ name }) => at(byWorkload(name))),
    any(selectors, (selector) => at(({ labels }) => selectorMatches(selector, labels))),
    any(filter[`${end}_identity`], (text) => at(byIdentity(text))),
    any(filter[`${end}_port`], (text) => at(({ port }) => String(port) === text)),
    any(filter[`${end}_service`], (text) => {
      const isIt = byService(text);
      return (flow) => isIt(flow[`${end}_service`]);
    }),
  ];
};

const byType =
  ({ type, match_sub_type: exact, sub_type: sub = 0 }: EventType): Test =>
  (flow) => {
    const isDrop = flow.drop_reason !== null;
    switch (type) {
      case EVENT_TYPES.drop:
        return isDrop && (!exact || flow.drop_reason?.code === sub);
      case EVENT_TYPES.trace:
        return !isDrop && (!exact || flow.trace_point === TRACE_POINT_NAMES[sub]);
      case EVENT_TYPES['policy-verdict']:
        return flow.rule !== null;
      default:
        return false;
    }
  };

/** `*` stands for any characters; a cluster's name in front has no meaning here. */
const byNode = (pattern: string): Test => {
  const parts = pattern.slice(pattern.indexOf('/') + 1).split('*');
  const regex = new RegExp(`^${parts.map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&')).join('.*')}$`);
  return ({ host }) => regex.test(host);
};

const isNumberOf = (protocol: string, wanted: string): boolean => {
  try {
    return protocolNumber(protocol) === protocolNumber(wanted);
  } catch {
    return false;
  }
};

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase();

/** Whole path, what begins so with * behind it, or the last name: as analytics has it. */
const isBinary = (wanted: string, binary: string): boolean => {
  if (wanted.endsWith('*')) return binary.startsWith(wanted.slice(0, -1));
  return wanted.startsWith('/') ? binary === wanted : binary.endsWith(`/${wanted}`);
};

const filterTest = (filter: FlowFilter): Test => {
  const tests: Test[] = [
    ...endTest(filter, 'source'),
    ...endTest(filter, 'destination'),
    any(
      filter.verdict,
      (text) =>
        ({ verdict }) =>
          same(verdict, text),
    ),
    any(
      filter.protocol,
      (text) =>
        ({ protocol }) =>
          isNumberOf(protocol, text),
    ),
    any(filter.node_name, byNode),
    any(
      filter.ip_version,
      (text) =>
        ({ source }) =>
          text === (source.ip.includes(':') ? 'IPv6' : 'IPv4'),
    ),
    any(
      filter.traffic_direction,
      (text) =>
        ({ direction }) =>
          same(direction, text),
    ),
    any(
      filter.drop_reason_desc,
      (text) =>
        ({ drop_reason: reason }) =>
          reason !== null && (String(reason.code) === text || same(reason.name, text) || same(reason.text, text)),
    ),
    any(
      filter.rule_id,
      (text) =>
        ({ rule }) =>
          rule !== null && String(rule.id) === text,
    ),
    any(
      filter.pending,
      (text) =>
        ({ pending }) =>
          same(pending?.verdict, text),
    ),
    any(
      filter.pending_rule_id,
      (text) =>
        ({ pending }) =>
          !!pending?.rule && String(pending.rule.id) === text,
    ),
    any(
      filter.source_ip_xlated?.map((text) => byIp('source_ip_xlated', text)),
      (test) =>
        ({ source_xlated: ip }) =>
          !!ip && test({ ip }),
    ),
    any(
      filter.exec_id,
      (text) =>
        ({ process }) =>
          process?.exec_id === text,
    ),
    any(
      filter.process,
      (text) =>
        ({ process }) =>
          isBinary(text, process?.binary ?? ''),
    ),
    any(
      filter.unit,
      (text) =>
        ({ process }) =>
          /^[0-9a-f]{12,64}$/.test(text) ? process?.unit?.startsWith(text) === true : process?.unit === text,
    ),
    any(
      filter.uid,
      (text) =>
        ({ process }) =>
          String(process?.uid) === text,
    ),
    any(filter.reply, (value) => (flow) => flow.is_reply === value),
    any(filter.encrypted, (value) => (flow) => (flow.encrypted ?? false) === value),
    any(
      filter.uuid,
      (text) =>
        ({ host, boot, seq }) =>
          `${host}:${boot}:${seq}` === text,
    ),
    any(filter.event_type, byType),
    any(
      filter.tcp_flags,
      (flags) => (flow) => Object.entries(flags).every(([name, wanted]) => !wanted || flow.tcp_flags.includes(name)),
    ),
  ];
  return (flow) => tests.every((test) => test(flow));
};

/** Compiled once, asked often. Throws wrong usage for a value that is none. */
export const flowTest = ({ allow, deny }: Filters): Test => {
  const allowed = allow.map(filterTest);
  const denied = deny.map(filterTest);
  return (flow) => (allowed.length === 0 || allowed.some((test) => test(flow))) && !denied.some((test) => test(flow));
};

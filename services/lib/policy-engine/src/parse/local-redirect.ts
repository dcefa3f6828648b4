// SPDX-License-Identifier: Apache-2.0
/**
 * CiliumLocalRedirectPolicy (cilium.io/v2) as a service whose frontends are local redirects. It is named NAME-local-redirect: a
 * policy and the service that it redirects may have one name. Ports of both sides belong together by their names, unless
 * the backend has one port for all.
 */
import { selectorOf } from './egress-gateway.ts';
import { readMetadata } from './metadata.ts';
import {
  type Context,
  type Field,
  type Fields,
  missing,
  readBoolean,
  readInteger,
  readList,
  readObject,
  readOneOf,
  readString,
  scalarOf,
} from './reader.ts';
import { readRequirements, type SelectorSyntax } from './selector.ts';
import { type BalancerDocument, type Places, place } from './service-body.ts';

const PLAIN: SelectorSyntax = { sources: false, source: 'any' };
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
const PORT_MAX = 65_535;

interface Port {
  readonly port: number;
  readonly protocol: string;
  readonly name: string;
  readonly at: number;
}

/** A number, or digits as Cilium writes them. */
const numberOf = (context: Context, field: Field): number | undefined => {
  const value = scalarOf(field.node);
  if (typeof value !== 'string') return readInteger(context, field, 1, PORT_MAX);
  if (/^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= PORT_MAX) return Number(value);
  const fix = `write one from "1" to "${PORT_MAX}"`;
  context.issues.add(field.path, field.node.at, `${JSON.stringify(value)} is no port`, { value, fix });
  return undefined;
};

const readPorts = (context: Context, fields: Fields): Port[] | undefined => {
  const list = fields.get('toPorts');
  if (!list) return undefined;
  return (readList(context, list) ?? []).flatMap((item) => {
    const one = readObject(context, item, { fields: ['port', 'protocol', 'name'] });
    const [number, protocol, name] = ['port', 'protocol', 'name'].map((part) => one?.get(part));
    if (one && !number) missing(context, one, 'port', 'write port: "53"');
    const port = number && numberOf(context, number);
    if (port === undefined) return [];
    return {
      port,
      protocol: (protocol && readOneOf(context, protocol, PROTOCOLS)) ?? 'TCP',
      name: (name && readString(context, name)) ?? '',
      at: item.node.at,
    };
  });
};

interface Matcher {
  readonly what: { readonly address: string } | { readonly service: string };
  readonly ports: readonly Port[] | undefined;
}

const readAddress = (context: Context, field: Field): Matcher | undefined => {
  const fields = readObject(context, field, { fields: ['ip', 'toPorts'] });
  if (!fields) return undefined;
  const ip = fields.get('ip');
  const address = ip ? readString(context, ip) : missing(context, fields, 'ip', 'write the address');
  const ports = readPorts(context, fields) ?? missing(context, fields, 'toPorts', 'write toPorts: [{port: "80"}]');
  return address === undefined ? undefined : { what: { address }, ports };
};

const readService = (context: Context, field: Field, namespace: string): Matcher | undefined => {
  const fields = readObject(context, field, { fields: ['serviceName', 'namespace', 'toPorts'] });
  if (!fields) return undefined;
  const name = fields.get('serviceName');
  const service = name ? readString(context, name) : missing(context, fields, 'serviceName', 'write its name');
  const where = fields.get('namespace');
  const of = where && readString(context, where);
  if (where && of !== undefined && of !== namespace) {
    const message = `the policy is of namespace ${namespace}, and redirects services of no other`;
    context.issues.add(where.path, where.node.at, message, { value: of, fix: `write ${namespace}, or leave it out` });
  }
  return service === undefined ? undefined : { what: { service }, ports: readPorts(context, fields) };
};

const readFrontend = (context: Context, spec: Fields, namespace: string): Matcher | undefined => {
  const field = spec.get('redirectFrontend');
  const fix = 'write redirectFrontend: {serviceMatcher: {serviceName: ...}}';
  if (!field) return missing(context, spec, 'redirectFrontend', fix);
  const fields = readObject(context, field, { fields: ['addressMatcher', 'serviceMatcher'] });
  const [address, service] = [fields?.get('addressMatcher'), fields?.get('serviceMatcher')];
  if (fields && (address === undefined) === (service === undefined)) {
    const message = address ? 'has both matchers' : 'has no matcher';
    context.issues.add(field.path, field.keyAt, message, { fix: 'write addressMatcher or serviceMatcher' });
    return undefined;
  }
  if (address) return readAddress(context, address);
  return service && readService(context, service, namespace);
};

export const readLocalRedirect = (
  context: Context,
  root: Fields,
  places: Places,
): Omit<BalancerDocument, 'kind' | 'position' | 'places'> | undefined => {
  const metadata = readMetadata(context, root, 'namespaced');
  const field = root.get('spec') ?? missing(context, root, 'spec', 'write spec: {...}');
  const allowed = ['redirectFrontend', 'redirectBackend', 'skipRedirectFromBackend', 'description'];
  const spec = field && readObject(context, field, { fields: allowed });
  if (!metadata || !spec) return undefined;
  const { name, namespace = 'default' } = metadata;
  const matcher = readFrontend(context, spec, namespace);
  const backendField =
    spec.get('redirectBackend') ??
    missing(context, spec, 'redirectBackend', 'write redirectBackend: {localEndpointSelector: ..., toPorts: ...}');
  const backend = backendField && readObject(context, backendField, { fields: ['localEndpointSelector', 'toPorts'] });
  if (!matcher || !backend) return undefined;
  const selected =
    backend.get('localEndpointSelector') ??
    missing(context, backend, 'localEndpointSelector', 'select workloads of the namespace');
  const requirements = selected && readRequirements(context, selected, PLAIN);
  const targets =
    readPorts(context, backend) ?? missing(context, backend, 'toPorts', 'write toPorts: [{port: "8053"}]') ?? [];
  if (!requirements || targets.length === 0) return undefined;
  const nameOf = (port: Port): string => (targets.length === 1 ? '' : port.name);
  const frontends = (matcher.ports ?? targets.map((port) => ({ ...port, port: 0 }))).map((port, i) => {
    place(places, `frontends[${i}]`, port.at, context.issues);
    return {
      ...{ type: 'local-redirect', address: '', ...matcher.what },
      ...{ port: port.port, protocol: port.protocol, port_name: nameOf(port) },
    };
  });
  for (const [i, { at }] of targets.entries()) place(places, `targets[${i}]`, at, context.issues);
  const skip = spec.get('skipRedirectFromBackend');
  return {
    becomes: 'service',
    name: `${name}-local-redirect`,
    namespace,
    body: {
      labels: metadata.labels ?? {},
      frontends,
      selector: selectorOf(requirements),
      targets: targets.map((one) => ({ port_name: nameOf(one), port: one.port, protocol: one.protocol })),
      skip_redirect_from_backends: (skip && readBoolean(context, skip)) ?? false,
    },
  };
};

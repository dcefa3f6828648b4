// SPDX-License-Identifier: Apache-2.0
/**
 * Documents of the load balancer in a text: Service (v1) with its EndpointSlices (discovery.k8s.io/v1), CiliumLoadBalancerIPPool
 * (cilium.io/v2), CiliumL2AnnouncementPolicy (cilium.io/v2alpha1), CiliumLocalRedirectPolicy (cilium.io/v2), and Weir's own forms (weir.io/v1), whose spec is what the API takes.
 */

import { selectorOf } from './egress-gateway.ts';
import { createWarnings, type Issues } from './issues.ts';
import { readServiceSpec } from './kubernetes-service.ts';
import { L2_DEFAULTS, readL2Announcement } from './l2-announcement.ts';
import { readLocalRedirect } from './local-redirect.ts';
import { type Located, toPlain } from './located.ts';
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
} from './reader.ts';
import { readRequirements, type SelectorSyntax } from './selector.ts';
import { annotationsOf, hintsOf, settingsOf } from './service-annotations.ts';
import {
  type BalancerDocument,
  type Places,
  place,
  placeAll,
  type ServiceBackendBody,
  type ServiceBody,
} from './service-body.ts';
import { apiVersionOf, kindOf, type SplitResult, splitDocuments } from './split.ts';

type Reader = (
  context: Context,
  root: Fields,
  places: Places,
) => Omit<BalancerDocument, 'kind' | 'position' | 'places'> | undefined;

const PLAIN: SelectorSyntax = { sources: false, source: 'any' };
const SERVICE_NAME = 'kubernetes.io/service-name';
const specOf = (context: Context, root: Fields): Field | undefined =>
  root.get('spec') ?? missing(context, root, 'spec', 'write spec: {...}');

const readService: Reader = (context, root, places) => {
  const metadata = readMetadata(context, root, 'namespaced');
  const spec = specOf(context, root);
  const annotations = annotationsOf(context, root);
  const body = spec && readServiceSpec(context, spec, hintsOf(context, annotations), places);
  if (!metadata || !body) return undefined;
  const { name, namespace = 'default', labels = {} } = metadata;
  return {
    becomes: 'service',
    name,
    namespace,
    body: { labels, ...body, ...settingsOf(context, annotations, places) },
  };
};

const flag = (context: Context, fields: Fields | undefined, name: string): boolean | undefined => {
  const field = fields?.get(name);
  return field && readBoolean(context, field);
};

/** As Kubernetes means the three conditions; what is not said is serving. */
const stateOf = (context: Context, endpoint: Fields): string => {
  const field = endpoint.get('conditions');
  const conditions = field && readObject(context, field, { fields: ['ready', 'serving', 'terminating'] });
  const ready = flag(context, conditions, 'ready') ?? true;
  const serving = flag(context, conditions, 'serving') ?? ready;
  if (flag(context, conditions, 'terminating')) return serving ? 'terminating' : 'terminating-not-serving';
  return ready ? 'active' : 'quarantined';
};

const readSlice: Reader = (context, root, places) => {
  const metadata = readMetadata(context, root, 'namespaced');
  if (!metadata) return undefined;
  const service = metadata.labels?.[SERVICE_NAME];
  if (service === undefined) {
    const path = 'metadata.labels';
    context.issues.add(path, root.at, `${SERVICE_NAME} is missing: whose backends are these?`, {
      fix: `write labels: {${SERVICE_NAME}: NAME}`,
    });
    return undefined;
  }
  const texts = (fields: Fields, name: string): string[] => {
    const field = fields.get(name);
    return (field ? (readList(context, field) ?? []) : []).flatMap((item) => readString(context, item) ?? []);
  };
  const lists = (name: string): Field[] => {
    const field = root.get(name);
    return field ? (readList(context, field) ?? []) : [];
  };
  const ports = lists('ports').flatMap((item) => {
    const port = readObject(context, item, { fields: ['name', 'protocol', 'port', 'appProtocol'] });
    const number = port?.get('port');
    const value = number && readInteger(context, number, 1, 65_535);
    const name = port?.get('name');
    const protocol = port?.get('protocol');
    if (value === undefined) return [];
    return [
      {
        port: value,
        port_name: (name && readString(context, name)) ?? '',
        protocol: (protocol && readOneOf(context, protocol, ['TCP', 'UDP', 'SCTP'])) ?? 'TCP',
      },
    ];
  });
  const backends: ServiceBackendBody[] = [];
  for (const item of lists('endpoints')) {
    const endpoint = readObject(context, item, {
      fields: ['addresses', 'conditions', 'hostname', 'nodeName', 'targetRef', 'zone', 'hints'],
    });
    if (!endpoint) continue;
    const state = stateOf(context, endpoint);
    const zoneField = endpoint.get('zone');
    const zone = (zoneField && readString(context, zoneField)) ?? '';
    for (const address of texts(endpoint, 'addresses')) {
      for (const port of ports) {
        place(places, `backends[${backends.length}]`, item.node.at, context.issues);
        backends.push({ address, ...port, zone, state });
      }
    }
  }
  return { becomes: 'slice', name: service, namespace: metadata.namespace ?? 'default', body: { backends } };
};

const readCiliumPool: Reader = (context, root, places) => {
  const metadata = readMetadata(context, root, 'cluster');
  const field = specOf(context, root);
  const spec =
    field && readObject(context, field, { fields: ['blocks', 'serviceSelector', 'allowFirstLastIPs', 'disabled'] });
  if (!metadata || !spec) return undefined;
  const list = spec.get('blocks');
  const blocks = (list ? (readList(context, list) ?? []) : []).map((item, i) => {
    const block = readObject(context, item, { fields: ['cidr', 'start', 'stop'] });
    place(places, `blocks[${i}]`, item.node.at, context.issues);
    return Object.fromEntries(
      ['cidr', 'start', 'stop'].flatMap((name) => {
        const part = block?.get(name);
        const text = part && readString(context, part);
        return text === undefined ? [] : [[name, text]];
      }),
    );
  });
  const selector = spec.get('serviceSelector');
  const requirements = selector && readRequirements(context, selector, PLAIN);
  const ends = spec.get('allowFirstLastIPs');
  const body = {
    blocks,
    ...(requirements ? { service_selector: selectorOf(requirements) } : {}),
    allow_first_last_ips: !ends || readOneOf(context, ends, ['Yes', 'No']) !== 'No',
    disabled: flag(context, spec, 'disabled') ?? false,
    frontend_type: 'load-balancer',
  };
  return { becomes: 'pool', name: metadata.name, body };
};

/** Weir's own: the spec goes to the API as it is, which knows what is wrong with it; here is where it stands. */
const readOwn =
  (becomes: 'service' | 'pool' | 'announcement' | 'bgp'): Reader =>
  (context, root, places) => {
    const metadata = readMetadata(context, root, becomes === 'service' ? 'namespaced' : 'cluster');
    const spec = specOf(context, root);
    if (!metadata || !spec) return undefined;
    if (spec.node.kind !== 'map') {
      context.issues.add('spec', spec.node.at, 'must be an object', { fix: 'write the fields of the API' });
      return undefined;
    }
    placeAll(places, '', spec.node, context.issues);
    const { name, namespace, labels } = metadata;
    const own = toPlain(spec.node) as ServiceBody;
    if (becomes === 'pool') {
      return {
        becomes,
        name,
        body: { allow_first_last_ips: true, disabled: false, frontend_type: 'load-balancer', ...own },
      };
    }
    if (becomes === 'announcement') return { becomes, name, body: { ...L2_DEFAULTS, ...own } };
    if (becomes === 'bgp') return { becomes, name, body: { advertisements: [], overrides: [], ...own } };
    return {
      becomes,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      body: { ...(labels ? { labels } : {}), ...own },
    };
  };

const FORMS: readonly (readonly [
  kind: string,
  apiVersions: readonly string[],
  read: Reader,
  fields: readonly string[],
])[] = [
  ['Service', ['v1'], readService, ['spec', 'status']],
  ['EndpointSlice', ['discovery.k8s.io/v1'], readSlice, ['addressType', 'endpoints', 'ports']],
  ['CiliumLoadBalancerIPPool', ['cilium.io/v2', 'cilium.io/v2alpha1'], readCiliumPool, ['spec', 'status']],
  ['CiliumL2AnnouncementPolicy', ['cilium.io/v2alpha1', 'cilium.io/v2'], readL2Announcement, ['spec', 'status']],
  ['CiliumLocalRedirectPolicy', ['cilium.io/v2'], readLocalRedirect, ['spec', 'status']],
  ['Service', ['weir.io/v1'], readOwn('service'), ['spec']],
  ['LoadBalancerPool', ['weir.io/v1'], readOwn('pool'), ['spec']],
  ['L2Announcement', ['weir.io/v1'], readOwn('announcement'), ['spec']],
  ['BgpInstance', ['weir.io/v1'], readOwn('bgp'), ['spec']],
];
export const BALANCER_KINDS = [...new Set(FORMS.map(([kind]) => kind))];

const isOurs = (node: Located): boolean => BALANCER_KINDS.includes(String(kindOf(node)));

const readDocument = (field: Field, issues: Issues): BalancerDocument | undefined => {
  const context: Context = { issues, warnings: createWarnings(issues.locate) };
  const kind = String(kindOf(field.node));
  const version = apiVersionOf(field.node);
  const form = FORMS.find(([one, versions]) => one === kind && versions.includes(String(version)));
  if (form === undefined) {
    const versions = FORMS.filter(([one]) => one === kind).flatMap(([, all]) => all);
    const facts = { value: version, fix: `write ${versions.join(' or ')}` };
    issues.add('apiVersion', field.node.at, `apiVersion ${JSON.stringify(version)} has no kind ${kind}`, facts);
    return undefined;
  }
  const [, , read, fields] = form;
  const root = readObject(context, field, { fields: ['apiVersion', 'kind', 'metadata', ...fields] });
  const before = issues.list.length;
  const places: Places = new Map();
  const found = root && read(context, root, places);
  if (!found || issues.list.length > before) return undefined;
  const position = issues.locate(field.node.at);
  return { kind, ...found, ...(position ? { position } : {}), places };
};

/** Takes services and their pools out of a text. Documents of other kinds are not looked at. */
export const splitBalancer = (text: string): SplitResult<BalancerDocument> => {
  const { rest, found, issues } = splitDocuments(text, { words: BALANCER_KINDS, isOurs, read: readDocument });
  const wrong = [...issues];
  const services = new Map(found.flatMap((one) => (one.becomes === 'service' ? [[keyOf(one), one] as const] : [])));
  for (const slice of found.filter(({ becomes }) => becomes === 'slice')) {
    const service = services.get(keyOf(slice));
    if (service === undefined) {
      wrong.push({
        path: 'metadata.labels',
        message: `service ${keyOf(slice)} of this EndpointSlice is not among the documents`,
        value: slice.name,
        fix: 'apply both in one text',
        ...(slice.position ?? {}),
      });
      continue;
    }
    services.set(keyOf(slice), withBackends(service, slice));
  }
  const documents = found.flatMap((one) => {
    if (one.becomes === 'slice') return [];
    return one.becomes === 'service' ? [services.get(keyOf(one)) ?? one] : [one];
  });
  return { rest, found: wrong.length > 0 ? [] : documents, issues: wrong };
};

const keyOf = ({ namespace = 'default', name }: BalancerDocument): string => `${namespace}/${name}`;

const withBackends = (service: BalancerDocument, slice: BalancerDocument): BalancerDocument => {
  const had = (service.body.backends ?? []) as readonly unknown[];
  const places = new Map(service.places);
  for (const [path, position] of slice.places ?? []) {
    const index = Number(/^backends\[(\d+)\]$/.exec(path)?.[1] ?? 0);
    places.set(`backends[${had.length + index}]`, position);
  }
  const backends = [...had, ...(slice.body.backends as readonly unknown[])];
  return { ...service, body: { ...service.body, backends }, places };
};

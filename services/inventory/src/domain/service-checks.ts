// SPDX-License-Identifier: Apache-2.0
/** What of a service contradicts itself, told at once with field, value and fix; what contradicts the fleet, in operations/. */
import { canonicalIp, isIp, parseIp } from '@weir/net';
import { unservableRange } from './addresses.ts';
import { checkLabels } from './labels.ts';
import { Issues } from './refused.ts';
import { checkSelector } from './selectors.ts';
import {
  type BackendSpec,
  type FrontendSpec,
  filled,
  type HealthCheckSpec,
  MAGLEV_SIZES,
  maglevDefault,
  type ServicePut,
  type ServiceSpec,
} from './services.ts';

/** Types whose address Weir gives when none is named. */
export const POOLED = ['load-balancer', 'cluster-ip'];

const familyOf = (address: string): 'ipv4' | 'ipv6' => (address.includes(':') ? 'ipv6' : 'ipv4');

const checkAddress = (at: string, address: string, issues: Issues): string => {
  if (!isIp(address)) {
    issues.add(at, address, 'is not an IP address', 'give one address such as 192.0.2.7 or 2001:db8::7');
    return address;
  }
  parseIp(address);
  const unusable = unservableRange(address);
  if (unusable) {
    issues.add(at, address, `lies in ${unusable}, where no other host reaches it`, 'give a unicast address');
  }
  return canonicalIp(address);
};

const checkFrontend = (at: string, frontend: FrontendSpec, issues: Issues): FrontendSpec => {
  const { type, address, port, service } = frontend;
  const whole = { ...frontend, port: port ?? 0 };
  if (service && type !== 'local-redirect') {
    const fix = 'leave it out, or make it local-redirect';
    issues.add(`${at}.service`, service, `means nothing for ${type}`, fix);
  } else if (service && address) {
    issues.add(`${at}.service`, service, 'stands beside an address', 'give one of both');
  }
  if (type === 'node-port') {
    if (address) {
      const fix = 'leave the address out: a node port is at every address of the hosts; or make it a host-port';
      issues.add(`${at}.address`, address, 'is given for a node port', fix);
    }
    return whole;
  }
  if (!port && !service) issues.add(`${at}.port`, port ?? 0, 'is no port', 'give a port from 1 to 65535');
  if (address) return { ...whole, address: checkAddress(`${at}.address`, address, issues) };
  if (type === 'local-redirect') {
    const fix = 'give the address that is redirected, or the service of the same namespace';
    if (!service) issues.add(`${at}.address`, '', 'is missing, and so is service', fix);
    return whole;
  }
  if (!POOLED.includes(type)) {
    const fix = `give its address, or make it load-balancer or cluster-ip to get one of a pool`;
    issues.add(`${at}.address`, '', `is missing, and ${type} gets none of a pool`, fix);
  }
  return whole;
};

const checkFrontends = (spec: ServiceSpec, issues: Issues): FrontendSpec[] => {
  const seen = new Map<string, number>();
  return spec.frontends.map((given, i) => {
    const at = `frontends[${i}]`;
    const frontend = checkFrontend(at, given, issues);
    const { type, address, port, protocol, scope, service, port_name } = frontend;
    const open = type === 'node-port' && port === 0;
    for (const side of scope === '' ? ['external', 'internal'] : [scope]) {
      const key = `${address === '' ? `${type} ${service} ${service && !port ? port_name : ''}` : address} ${port} ${protocol} ${side}`;
      const other = seen.get(key);
      if (other !== undefined && !open) {
        const value = `${address || type}:${port}/${protocol}`;
        issues.add(at, value, `is there twice, also as frontends[${other}]`, 'leave one out, or give another port');
        break;
      }
      seen.set(key, i);
    }
    return frontend;
  });
};

const checkBackends = (spec: ServiceSpec, issues: Issues): BackendSpec[] => {
  const seen = new Map<string, number>();
  return spec.backends.map((given, i) => {
    const at = `backends[${i}]`;
    const backend = { ...given, address: checkAddress(`${at}.address`, given.address, issues) };
    const { address, port, protocol, port_name } = backend;
    const key = `${address} ${port} ${protocol} ${port_name}`;
    const other = seen.get(key);
    if (other !== undefined) {
      const value = `${address}:${port}/${protocol}`;
      issues.add(at, value, `is there twice, also as backends[${other}]`, 'leave one out');
    }
    seen.set(key, i);
    const leads = spec.frontends.some((frontend) => {
      if (frontend.port_name !== port_name || frontend.protocol !== protocol) return false;
      if (frontend.address) return familyOf(frontend.address) === familyOf(address);
      return frontend.service !== '' || frontend.type === 'node-port' || spec.families.includes(familyOf(address));
    });
    if (!leads) {
      const fix = 'give it the port_name, protocol and family of a frontend';
      issues.add(at, `${address}:${port}/${protocol}`, 'is reached by no frontend', fix);
    }
    return backend;
  });
};

const checkTargets = ({ targets, frontends, selector }: ServiceSpec, issues: Issues): void => {
  const seen = new Set<string>();
  for (const [i, { port_name, protocol }] of targets.entries()) {
    const key = `${port_name} ${protocol}`;
    if (seen.has(key)) issues.add(`targets[${i}]`, key.trim(), 'is there twice', 'leave one out');
    seen.add(key);
    if (frontends.some((one) => one.port_name === port_name && one.protocol === protocol)) continue;
    issues.add(`targets[${i}].port_name`, port_name, `is that of no ${protocol} frontend`, 'name one of a frontend');
  }
  if (targets.length > 0 && selector === undefined) {
    issues.add('targets', targets.length, 'are given without a selector', 'give a selector, or leave the targets out');
  }
  if (selector === undefined || targets.length > 0) return;
  for (const [i, { port, port_name, protocol }] of frontends.entries()) {
    const others = frontends.filter((one) => one.port_name === port_name && one.protocol === protocol);
    if (port === 0 && others.every((one) => one.port === 0)) {
      const fix = 'give targets: [{port: 8080}], the port at which workloads listen';
      issues.add(`frontends[${i}].port`, port, 'does not tell where workloads listen', fix);
    }
  }
};

const checkHealth = (check: HealthCheckSpec | undefined, issues: Issues): void => {
  if (check === undefined) return;
  const { kind, period_ms, timeout_ms, path, status_low, status_high, tls, insecure } = check;
  const at = 'health_check';
  if (timeout_ms > period_ms) {
    const fix = `give at most ${period_ms}, or a longer period_ms`;
    issues.add(`${at}.timeout_ms`, timeout_ms, `is over the period of ${period_ms}`, fix);
  }
  if (status_low > status_high) {
    issues.add(`${at}.status_low`, status_low, `is over status_high ${status_high}`, `give at most ${status_high}`);
  }
  if (kind === 'sctp') {
    const fix = 'use tcp, at the port of something beside it that tells its health, or icmp';
    issues.add(`${at}.kind`, kind, 'is not asked: agents have no SCTP sockets', fix);
  }
  if (tls && kind !== 'grpc') issues.add(`${at}.tls`, tls, `means nothing for ${kind}`, 'leave it out, or use https');
  if (insecure && kind !== 'https' && !tls) {
    issues.add(`${at}.insecure`, insecure, 'means nothing without TLS', 'leave it out, or use https, or grpc with tls');
  }
  const web = kind === 'http' || kind === 'https';
  if (path !== '' && !web) issues.add(`${at}.path`, path, `means nothing for ${kind}`, 'leave it out, or use http');
  if (path !== '' && web && !/^\/[\x21-\x7e]*$/.test(path)) {
    issues.add(`${at}.path`, path, 'is not a path', 'write it such as /healthz');
  }
};

const checkRedirects = (
  { skip_redirect_from_backends, frontends, source_ranges }: ServiceSpec,
  issues: Issues,
): void => {
  if (!skip_redirect_from_backends) return;
  const field = 'skip_redirect_from_backends';
  if (!frontends.some(({ type }) => type === 'local-redirect')) {
    issues.add(field, true, 'means nothing without a local-redirect frontend', 'leave it out');
  }
  if (source_ranges.length === 0) return;
  const fix = 'make the redirect a service of its own';
  issues.add(field, true, 'stands beside source_ranges, which are for clients from outside', fix);
};

/** Nobody but the backend's own host would see how connections end that it answers by itself. */
const checkLeast = ({ algorithm, forwarding }: ServiceSpec, issues: Issues): void => {
  if (algorithm !== 'least-connections' || forwarding === 'snat') return;
  const fix = 'use snat, or the algorithm maglev';
  issues.add('forwarding', forwarding, 'hides from hosts how many connections are open', fix);
};

const checkMaglev = ({ algorithm, maglev_size, backends }: ServiceSpec, issues: Issues): number => {
  if (algorithm !== 'maglev') {
    if (maglev_size !== 0) {
      const fix = 'leave it out, or set algorithm to maglev';
      issues.add('maglev_size', maglev_size, `means nothing for algorithm ${algorithm}`, fix);
    }
    return 0;
  }
  if (maglev_size === 0) return maglevDefault(backends.length);
  if (!MAGLEV_SIZES.includes(maglev_size)) {
    issues.add('maglev_size', maglev_size, 'is no size of a table', `use one of ${MAGLEV_SIZES.join(', ')}`);
  }
  return maglev_size;
};

const NAMESPACE = /^(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/;

/** `given`: as the schema fills it in. Throws INVALID_ARGUMENT that lists everything wrong; addresses in their one spelling. */
export const checkService = (given: ServicePut): ServiceSpec => {
  const spec = filled(given);
  checkLabels(spec.labels, 'labels');
  const issues = new Issues();
  const frontends = checkFrontends(spec, issues);
  const backends = checkBackends({ ...spec, frontends }, issues);
  if (spec.selector) checkSelector('selector', spec.selector, issues);
  if (spec.hosts) checkSelector('hosts', spec.hosts, issues);
  checkTargets({ ...spec, frontends }, issues);
  checkHealth(spec.health_check, issues);
  checkLeast(spec, issues);
  checkRedirects(spec, issues);
  const maglev_size = checkMaglev(spec, issues);
  const source_ranges = issues.cidrs('source_ranges', spec.source_ranges).map((cidr) => cidr.text);
  for (const [i, name] of spec.sharing_namespaces.entries()) {
    if (!NAMESPACE.test(name)) {
      issues.add(`sharing_namespaces[${i}]`, name, 'is no namespace', 'name a namespace, or * for all');
    }
  }
  if (spec.sharing_namespaces.length > 0 && spec.sharing_key === '') {
    issues.add('sharing_namespaces', spec.sharing_namespaces, 'mean nothing without sharing_key', 'give sharing_key');
  }
  const own = frontends.findIndex(
    ({ type, protocol, port }) =>
      type === 'node-port' && protocol === 'TCP' && port !== 0 && port === spec.health_check_node_port,
  );
  if (own >= 0) {
    const why = `is the node port of frontends[${own}]`;
    issues.add('health_check_node_port', spec.health_check_node_port, why, 'give another port');
  }
  if (spec.health_check_node_port !== 0 && spec.external_traffic_policy !== 'local') {
    const fix = 'leave it out, or set external_traffic_policy to local';
    issues.add('health_check_node_port', spec.health_check_node_port, 'needs external_traffic_policy local', fix);
  }
  issues.throw();
  return { ...spec, frontends, backends, maglev_size, source_ranges };
};

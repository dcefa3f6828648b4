// SPDX-License-Identifier: Apache-2.0
/**
 * `weir explain`: why a flow passes or not, by the very engine that enforces, from the fleet's workloads, identities and the
 * policies in force; with -f as if those documents had been applied.
 */
import { escapeUntrusted, isIp, PROTOCOLS, protocolNumber } from '@weir/net';
import {
  type ConsideredRule,
  type Endpoint,
  type ExplainedPolicy,
  type Explanation,
  explain,
  icmpPort,
  listRules,
  type PolicyDocument,
  parseDocument,
  parseDocuments,
  type RulePlace,
} from '@weir/policy-engine';
import type { Context } from '../context.ts';
import { readDocuments } from '../documents.ts';
import { CliFailure, EXIT, type LocateLine, renderIssues } from '../failure.ts';
import { toJson, toYaml } from '../output/safe.ts';
import { type Balancing, balancingOf, endText } from './explain-balancing.ts';
import { directoryFor } from './explain-directory.ts';
import { isContradiction, type ProbeAsked, type Probed, probeFlow, sayProbe } from './explain-probe.ts';
import { type Direction, type Step, stepsOf } from './explain-steps.ts';

export interface ExplainOptions {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly protocol: string;
  readonly filename?: readonly string[];
  readonly at?: string;
  readonly output: 'text' | 'json' | 'yaml';
  readonly probe?: boolean;
}

interface WorkloadItem {
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly identity: number;
  readonly ip4: string | null;
  readonly ip6: string | null;
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[];
}

interface PolicyItem {
  readonly key: string;
  readonly document: unknown;
  readonly rules: readonly {
    readonly path: string;
    readonly id: number;
    readonly file?: string | null;
    readonly line?: number | null;
  }[];
}

const usage = (message: string): CliFailure => new CliFailure(EXIT.usage, `error: ${message}`);

const flowOf = (options: ExplainOptions): { protocol: number; port: number } => {
  let protocol: number;
  try {
    protocol = protocolNumber(options.protocol);
  } catch (error) {
    throw usage(`--protocol: ${(error as Error).message}`);
  }
  const icmp = protocol === PROTOCOLS.ICMP || protocol === PROTOCOLS.ICMPv6;
  const most = icmp ? 255 : 65_535;
  const number = Number(options.port);
  if (!/^\d+$/.test(options.port) || number > most)
    throw usage(`--port: ${options.port} is not a number from 0 to ${most}`);
  return { protocol, port: icmp ? icmpPort(number) : number };
};

interface End extends Endpoint {
  /** Of a workload. */
  readonly host?: string;
}

const endOf = async (context: Context, text: string, other: string): Promise<End> => {
  if (isIp(text)) {
    const [workload] = (await context.client.list<WorkloadItem>('inventory', '/v1/workloads')).filter(
      ({ ip4, ip6 }) => text === ip4 || text === ip6,
    );
    return workload ? endpointOf(workload, text) : { name: text, ip: text };
  }
  const slash = text.indexOf('/');
  if (slash <= 0) throw usage(`${text} is neither an address nor namespace/name`);
  const id = `${text.slice(0, slash)}.${text.slice(slash + 1)}`;
  const workload = await context.client.json<WorkloadItem>('inventory', `/v1/workloads/${encodeURIComponent(id)}`);
  return endpointOf(workload, other.includes(':') ? workload.ip6 : workload.ip4);
};

const endpointOf = ({ namespace, name, host, identity, ports }: WorkloadItem, ip: string | null): End => ({
  name: `${namespace}/${name}`,
  host,
  identity,
  ...(ip ? { ip } : {}),
  namedPorts: ports.map((port) => ({ name: port.name, port: port.port, protocol: protocolNumber(port.protocol) })),
});

interface Candidates {
  readonly changed: readonly PolicyDocument[];
  readonly locate?: LocateLine;
}

const candidates = async (context: Context, files: readonly string[]): Promise<Candidates> => {
  if (files.length === 0) return { changed: [] };
  const documents = await readDocuments(files, context.readStdin);
  const { documents: parsed, issues } = parseDocuments(documents.text);
  if (issues.length > 0) throw new CliFailure(EXIT.failed, renderIssues(issues, documents.locate));
  return { changed: parsed, locate: documents.locate };
};

/** Where the rules of a file that was given are written. */
const placesIn = (doc: PolicyDocument, locate?: LocateLine): ReadonlyMap<string, RulePlace> =>
  new Map(
    listRules(doc).flatMap(({ path, line }) =>
      line === undefined || locate === undefined ? [] : [[path, locate(line)] as const],
    ),
  );

const placeOf = ({ file, line }: RulePlace): string => {
  if (line === undefined) return '';
  return file === undefined ? `, line ${line} as applied` : `, ${file}:${line}`;
};

const sayStep = (direction: Direction, { policy, says, rule }: Step): string => {
  const restricts = `${policy} restricts its ${direction}`;
  if (says === 'nothing') return `${restricts}${rule ? placeOf(rule) : ''}: no rule fits`;
  const verb = says === 'deny' ? 'denies' : 'allows';
  return `${restricts}: ${rule ? `${rule.path}${placeOf(rule)}` : 'a rule'}: ${verb} it`;
};

/** Lines for rules that do not fit; all of them are in the answer as JSON. */
const MAX_NEAR = 5;
const MISSES = { port: 'its peers are others', peer: 'its ports or protocols are others', whole: '' } as const;

const sayNear = ({ policy, path, action, fits, tier, ...place }: ConsideredRule): string => {
  const verb = { allow: 'would allow', deny: 'would deny', pass: 'would pass on' }[action];
  return `${path} of ${policy} (${tier})${placeOf(place)} ${verb} it, but ${MISSES[fits]}`;
};

interface Asked {
  readonly to: Endpoint;
  readonly protocol: number;
  readonly port: number;
}

type Answer = Explanation & { readonly steps: ReturnType<typeof stepsOf> };

/** Protocols that services are asked by. */
const PORTED: ReadonlySet<number> = new Set([PROTOCOLS.TCP, PROTOCOLS.UDP, PROTOCOLS.SCTP]);

const sayAnswer = (context: Context, answer: Answer, indent: string): void => {
  const say = (line: string): void => context.out(`${indent}${line}`);
  const [verdict = ''] = answer.text.split('\n');
  say(context.paint(answer.verdict === 'allow' ? 'green' : 'red', escapeUntrusted(verdict)));
  for (const direction of ['egress', 'ingress'] as const) {
    for (const line of answer[direction].text.split('\n')) say(`  ${escapeUntrusted(line)}`);
    for (const [i, step] of answer.steps[direction].entries()) {
      say(`    ${i + 1}. ${escapeUntrusted(sayStep(direction, step))}`);
    }
    const near = answer[direction].considered.filter(({ fits }) => fits !== 'whole');
    for (const rule of near.slice(0, MAX_NEAR)) say(`    nearly: ${escapeUntrusted(sayNear(rule))}`);
    if (near.length > MAX_NEAR) say(`    nearly: ${near.length - MAX_NEAR} more, see -o json`);
  }
  if (answer.outOfTime.length === 0) return;
  for (const line of answer.text.split('\n').slice(-answer.outOfTime.length)) say(`  ${escapeUntrusted(line)}`);
};

const WORDS = {
  allow: ['green', 'allowed'],
  deny: ['red', 'refused'],
  mixed: ['red', 'allowed by some backends only'],
} as const;

/** What was tried and what came of it, where that was asked. */
type ProbedOr = { readonly asked: ProbeAsked; readonly probe: Probed } | undefined;

/** Says what came of the attempt, and that it must not be so if the kernel did otherwise than the engine says. */
const closeWith = (
  context: Context,
  options: ExplainOptions,
  verdict: 'allow' | 'deny' | 'mixed',
  probed: ProbedOr,
): void => {
  if (probed && options.output === 'text') sayProbe(context, probed.asked, verdict, probed.probe);
  if (verdict !== 'allow' || (probed && isContradiction(verdict, probed.probe))) context.setExitCode(EXIT.failed);
};
const withProbe = (probed: ProbedOr) => (probed ? { probe: probed.probe } : {});

/** Each backend that may be chosen is judged by itself; status 0 only when all of them may be reached. */
const explainBalanced = async (
  context: Context,
  options: ExplainOptions,
  asked: {
    readonly ask: (one: Asked) => Answer;
    readonly balancing: Balancing;
    readonly from: Endpoint;
    readonly protocol: number;
    readonly probed: ProbedOr;
  },
): Promise<void> => {
  const { ask, balancing, from, protocol, probed } = asked;
  const judged: (Answer & { readonly backend: string })[] = [];
  for (const { address, port } of balancing.backends) {
    const to = await endOf(context, address, from.ip ?? '');
    judged.push({ backend: endText(address, port), ...ask({ to, protocol, port }) });
  }
  const allowed = judged.filter(({ verdict }) => verdict === 'allow').length;
  const verdict = allowed === 0 ? 'deny' : allowed === judged.length ? 'allow' : 'mixed';
  if (options.output === 'text') {
    const { service, frontend, type, leftOut } = balancing;
    const [colour, words] = WORDS[verdict];
    const name = from.name ?? from.ip ?? options.from;
    context.out(context.paint(colour, escapeUntrusted(`${name} -> ${frontend}: ${words}`)));
    const chosen =
      judged.length === 0 ? 'no backend may be chosen' : `one of ${judged.length} is chosen, which policy judges`;
    context.out(`  load balancing: ${escapeUntrusted(`${frontend} is service ${service} (${type})`)}: ${chosen}`);
    for (const { address, port, why } of leftOut)
      context.out(`    not chosen: ${escapeUntrusted(`${endText(address, port)}: ${why}`)}`);
    for (const answer of judged) sayAnswer(context, answer, '  ');
  } else {
    const whole = { verdict, load_balancing: { ...balancing, backends: judged }, ...withProbe(probed) };
    context.out(options.output === 'json' ? toJson(whole, 2) : toYaml(whole));
  }
  closeWith(context, options, verdict, probed);
};

const probedFor = async (
  context: Context,
  { probe, filename = [] }: ExplainOptions,
  { from, to, protocol, port }: Asked & { readonly from: End },
): Promise<ProbedOr> => {
  if (!probe) return undefined;
  if (filename.length > 0) throw usage('--probe tries what is in force: leave out -f');
  if (from.host === undefined || from.name === undefined)
    throw usage(`--probe sends from a workload: ${from.ip ?? 'that address'} is none`);
  if (to.ip === undefined) throw usage(`--probe sends to an address, which ${to.name ?? 'the workload'} has not got`);
  const asked = { from: from.name, address: to.ip, protocol, port };
  return { asked, probe: await probeFlow(context, asked) };
};

const timeOf = ({ at }: ExplainOptions): number => {
  const atMs = at === undefined ? Date.now() : Date.parse(at);
  if (Number.isFinite(atMs)) return atMs;
  throw new CliFailure(EXIT.usage, `--at ${JSON.stringify(at)} is no time: write it as 2026-11-23T18:00:00Z`);
};

export const explainFlow = async (context: Context, options: ExplainOptions): Promise<void> => {
  const flow = flowOf(options);
  const atMs = timeOf(options);
  const { changed, locate } = await candidates(context, options.filename ?? []);
  const from = await endOf(context, options.from, options.to);
  const to = await endOf(context, options.to, options.from);
  const identities = await context.client.list<{ identity: number; labels: string[] }>('inventory', '/v1/identities');
  const inForce = await context.client.list<PolicyItem>('policy', '/v1/policies');
  const policies: ExplainedPolicy[] = [
    ...inForce
      .filter(({ key }) => !changed.some((doc) => doc.key === key))
      .map(({ document, rules }) => ({
        doc: parseDocument(document),
        ruleIds: new Map(rules.map(({ path, id }) => [path, id])),
        places: new Map(
          rules.map(({ path, file, line }) => [path, { ...(file ? { file } : {}), ...(line ? { line } : {}) }]),
        ),
      })),
    ...changed.map((doc) => ({ doc, ruleIds: new Map<string, number>(), places: placesIn(doc, locate) })),
  ];
  const directory = await directoryFor(context, policies);
  const ask = (one: Asked): Answer => {
    const input = {
      policies,
      identities: new Map(identities.map(({ identity, labels }) => [identity, labels])),
      ...{ from, atMs, directory },
      ...one,
    };
    return { ...explain(input), steps: stepsOf(input) };
  };
  const balancing =
    to.identity === undefined && to.ip !== undefined && PORTED.has(flow.protocol)
      ? await balancingOf(context, { ip: to.ip, ...flow, fromHost: from.host })
      : undefined;
  const probed = await probedFor(context, options, { from, to, ...flow });
  if (balancing) await explainBalanced(context, options, { ask, balancing, from, protocol: flow.protocol, probed });
  else {
    const answer = ask({ to, ...flow });
    if (options.output === 'text') sayAnswer(context, answer, '');
    else {
      const whole = { ...answer, ...withProbe(probed) };
      context.out(options.output === 'json' ? toJson(whole, 2) : toYaml(whole));
    }
    closeWith(context, options, answer.verdict, probed);
  }
};

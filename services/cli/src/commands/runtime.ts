// SPDX-License-Identifier: Apache-2.0
/** `weir runtime validate`: runtime policies (Tetragon's TracingPolicy documents) looked at without a service or a kernel. */
import { escapeUntrusted } from '@weir/net';
import {
  type Choice,
  chooseBackends,
  compileRuntimePolicy,
  type HookTarget,
  parseRuntimePolicies,
  RUNTIME_FEATURES,
  type RuntimePolicy,
} from '@weir/runtime-engine';
import type { Context } from '../context.ts';
import { type Documents, readDocuments } from '../documents.ts';
import { CliFailure, EXIT, renderIssues, renderWarning } from '../failure.ts';
import { toJson, toYaml } from '../output/safe.ts';

export interface ValidateOptions {
  readonly filename: readonly string[];
  /** What a kernel can do; all when it is not said. */
  readonly features?: readonly string[];
  readonly output: 'text' | 'json' | 'yaml';
}

const targetOf = (target: HookTarget): string => {
  switch (target.kind) {
    case 'kprobe':
    case 'fentry':
      return target.call;
    case 'tracepoint':
      return `${target.subsystem}/${target.event}`;
    case 'lsm':
      return target.hook;
    case 'uprobe': {
      const places = target.symbols.length > 0 ? target.symbols : [...target.offsets, ...target.addresses].map(String);
      return `${target.path}:${places.join()}`;
    }
    case 'usdt':
      return `${target.path}:${target.provider}:${target.name}`;
  }
};

const told = (policy: RuntimePolicy, features: readonly string[]) => {
  const choices = chooseBackends(policy, features);
  const plan = compileRuntimePolicy(policy);
  return {
    key: policy.key,
    mode: policy.mode,
    hooks: policy.hooks.map((hook, at) => {
      const { backend, helpers, enforces, limits } = choices[at] as Choice;
      return {
        path: hook.path,
        target: targetOf(hook.target),
        backend,
        helpers,
        enforces,
        limits,
        program_bytes: plan.hooks[at]?.program.length ?? 0,
      };
    }),
  };
};

const linesOf = ({ key, mode, hooks }: ReturnType<typeof told>): string[] => [
  `${key}: valid, ${mode}`,
  ...hooks.flatMap(({ path, target, backend, helpers, enforces, limits }) => {
    const by = backend === 'none' ? 'cannot be attached' : `by ${[backend, ...helpers].join(' and ')}`;
    return [
      `  ${path} ${target}: ${by}${enforces.length > 0 ? `, enforces ${enforces.join(', ')}` : ''}`,
      ...limits.map((limit) => `    ${limit}`),
    ];
  }),
];

export const readRuntimePolicies = (documents: Documents): readonly RuntimePolicy[] => {
  const { documents: policies, issues } = parseRuntimePolicies(documents.text);
  if (issues.length > 0) throw new CliFailure(EXIT.failed, renderIssues(issues, documents.locate));
  return policies;
};

export const validateRuntime = async (context: Context, options: ValidateOptions): Promise<void> => {
  const known: readonly string[] = RUNTIME_FEATURES;
  const unknown = options.features?.find((feature) => !known.includes(feature));
  if (unknown !== undefined) {
    const said = `error: there is no feature ${escapeUntrusted(unknown)}; use ${RUNTIME_FEATURES.join(', ')}`;
    throw new CliFailure(EXIT.usage, said);
  }
  const documents = await readDocuments(options.filename, context.readStdin);
  const policies = readRuntimePolicies(documents);
  const answers = policies.map((policy) => told(policy, options.features ?? RUNTIME_FEATURES));
  if (options.output === 'json') context.out(toJson({ policies: answers }, 2));
  else if (options.output === 'yaml') context.out(toYaml({ policies: answers }));
  else for (const line of answers.flatMap(linesOf)) context.out(escapeUntrusted(line));
  for (const { warnings } of policies) {
    for (const warning of warnings) context.err(renderWarning(warning, documents.locate));
  }
};

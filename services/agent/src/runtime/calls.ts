// SPDX-License-Identifier: Apache-2.0
/** Hooks at system calls: which calls they are, and how their arguments are read. */
import { weir_runtime_arg_flags, weir_runtime_limits, weir_runtime_read } from '@weir/bpf';
import {
  type ArgType,
  type Argument,
  factsOf,
  type Hook,
  type RuntimePolicy,
  type SyscallNumbers,
  syscallName,
} from '@weir/runtime-engine';

/** A hook that cannot be attached; its message is for who wrote it. */
export class CannotAttach extends Error {}

const { RUNTIME_COMPAT, RUNTIME_ARGS, RUNTIME_PLACES } = weir_runtime_limits;
const READ = weir_runtime_read;
const NO_PLACE = 255;

/** They do not come back. */
const NEVER_RETURN = ['exit', 'exit_group', 'rt_sigreturn'];

/** Site -> name of the call. */
export const sitesOf = (policy: RuntimePolicy, hook: Hook, { native, compat }: SyscallNumbers): Map<number, string> => {
  const { target } = hook;
  if (target.kind !== 'kprobe' && target.kind !== 'fentry') throw new CannotAttach('this is no system call');
  const listed = /^list:(.+)$/.exec(target.call)?.[1];
  const list = policy.lists.find(({ name }) => name === listed);
  const names =
    listed === undefined
      ? [target.call]
      : list?.type === 'generated_syscalls'
        ? [...native.keys()]
        : (list?.values ?? []);
  const sites = new Map<number, string>();
  for (const written of names) {
    const name = syscallName(written);
    const number = native.get(name);
    const other = compat.get(name);
    if (number === undefined && other === undefined) {
      if (hook.ignoreNotFound) continue;
      throw new CannotAttach(`no system call of this host is called ${JSON.stringify(name)}`);
    }
    if (hook.returns && NEVER_RETURN.includes(name))
      throw new CannotAttach(`${name} does not return: write return: false`);
    if (number !== undefined && !written.startsWith('__ia32_')) sites.set(number, `sys_${name}`);
    if (other !== undefined && !written.startsWith('__x64_')) sites.set(other + RUNTIME_COMPAT, `sys_${name}`);
  }
  return sites;
};

const READ_OF: Partial<Record<ArgType, number>> = {
  auto: READ.RUNTIME_READ_NUMBER,
  nop: READ.RUNTIME_READ_NOTHING,
  string: READ.RUNTIME_READ_STRING,
  filename: READ.RUNTIME_READ_STRING,
  char_buf: READ.RUNTIME_READ_BYTES,
  const_buf: READ.RUNTIME_READ_BYTES,
  char_iovec: READ.RUNTIME_READ_IOVEC,
  fd: READ.RUNTIME_READ_FD,
  sockaddr: READ.RUNTIME_READ_SOCKADDR,
  sockaddr_un: READ.RUNTIME_READ_SOCKADDR,
};

export const readOf = (type: ArgType): number => {
  const { class: name } = factsOf(type);
  const read = READ_OF[type] ?? (name === 'signed' || name === 'unsigned' ? READ.RUNTIME_READ_NUMBER : undefined);
  if (read === undefined)
    throw new CannotAttach(`an argument of type ${type} is the kernel's own: no system call is given one`);
  return read;
};

export const encodeArg = ({ index, type, sizeArgIndex, returnCopy, resolve, btfType, source }: Argument) => {
  if (resolve !== undefined || btfType !== undefined || source !== undefined)
    throw new CannotAttach('resolve, btfType and source are not read at system calls by this agent');
  if (index >= RUNTIME_PLACES) throw new CannotAttach(`a system call has no argument ${index}`);
  const read = readOf(type);
  if (read === READ.RUNTIME_READ_BYTES && sizeArgIndex === undefined && !returnCopy)
    throw new CannotAttach(`how long argument ${index} is nobody tells: write sizeArgIndex`);
  return {
    read,
    place: index,
    size_place: sizeArgIndex === undefined ? NO_PLACE : sizeArgIndex - 1,
    flags: returnCopy ? weir_runtime_arg_flags.RUNTIME_ARG_RETURN : 0,
  };
};

export const encodeArgs = ({ args, data }: Hook) => {
  if (data.length > 0) throw new CannotAttach('data is not read at system calls by this agent');
  if (args.length > RUNTIME_ARGS) throw new CannotAttach(`at most ${RUNTIME_ARGS} arguments of a call are read`);
  return args.map(encodeArg);
};

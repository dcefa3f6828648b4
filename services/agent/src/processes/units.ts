// SPDX-License-Identifier: Apache-2.0
/**
 * Whose a process is, by its cgroup: engines and systemd name the folder of a container, a unit or a virtual machine after it.
 * Nothing is asked of an engine, so what is told is right when no engine answers.
 */
export type UnitKind = 'container' | 'service' | 'machine' | 'session';

export interface Unit {
  readonly kind: UnitKind;
  /** A container's whole id, a unit's or a machine's name. */
  readonly name: string;
}

/** docker/<id>, docker-<id>.scope, cri-containerd-<id>.scope, libpod-<id>.scope, crio-<id>.scope, <pod>/<id>. */
const CONTAINER = /^(?:[a-z][a-z-]*-)?([0-9a-f]{64})(?:\.scope)?$/;
/** machine-qemu\x2d3\x2dname.scope of machined, and what libvirt makes without it: 3-name.libvirt-qemu. */
const MACHINE = /^machine-(?:qemu|lxc)-\d+-(.+)\.scope$/;
const LIBVIRT = /^(?:\d+-)?(.+)\.libvirt-(?:qemu|lxc)$/;

/** systemd writes what is special in a name as \xNN. */
const unescaped = (name: string): string =>
  name.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** The innermost that tells something; a container's own cgroups, which its processes name, are below its folder. */
export const unitOf = (cgroupPath: string): Unit | undefined => {
  const parts = cgroupPath.split('/').filter(Boolean);
  for (const part of parts) {
    const id = CONTAINER.exec(part)?.[1];
    if (id) return { kind: 'container', name: id };
    const plain = unescaped(part);
    const machine = MACHINE.exec(plain)?.[1] ?? LIBVIRT.exec(plain)?.[1];
    if (machine) return { kind: 'machine', name: machine };
  }
  for (const part of parts.reverse()) {
    if (part.endsWith('.service')) return { kind: 'service', name: part };
    if (part.startsWith('session-') && part.endsWith('.scope')) return { kind: 'session', name: part };
  }
  return undefined;
};

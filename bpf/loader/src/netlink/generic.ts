// SPDX-License-Identifier: Apache-2.0
/** Generic netlink: families have names, and numbers that the kernel gives when it starts them (linux/genetlink.h). */
import { attempt, attemptAsync, isErrno } from '../errors.ts';
import { type Handle, native } from '../native.ts';
import { attribute, attributes, cstring, message, messages, NETLINK } from './message.ts';

const CONTROLLER = 16;
const GET_FAMILY = 3;
const CONTROLLER_VERSION = 1;
const CTRL_ATTR = { FAMILY_ID: 1, FAMILY_NAME: 2 } as const;
const HEADER_BYTES = 4;

const header = (command: number, version: number): Buffer => Buffer.of(command, version, 0, 0);

export class Generic {
  readonly #handle: Handle;
  readonly #family: string;
  readonly #version: number;
  #number: number | undefined;

  constructor(netns: string | undefined, family: string, version: number) {
    this.#family = family;
    this.#version = version;
    this.#handle = attempt(netns ?? 'generic netlink', () => native().netlinkOpen(netns, NETLINK.GENERIC));
  }

  /** Asking makes the kernel load the family's module, if it has one. */
  async exists(): Promise<boolean> {
    try {
      await this.#resolve();
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }

  async #resolve(): Promise<number> {
    if (this.#number !== undefined) return this.#number;
    const request = message(CONTROLLER, 0, header(GET_FAMILY, CONTROLLER_VERSION), [
      attribute(CTRL_ATTR.FAMILY_NAME, cstring(this.#family)),
    ]);
    const what = `netlink family ${this.#family}`;
    const [answer] = messages(await attemptAsync(what, () => native().netlinkRequest(this.#handle, request)));
    const found = answer && attributes(answer.body, HEADER_BYTES).get(CTRL_ATTR.FAMILY_ID);
    if (!found) throw new Error(`the kernel did not say which number ${what} has`);
    this.#number = found.readUInt16LE(0);
    return this.#number;
  }

  /** Attributes of each answer, not yet taken apart. */
  async request(what: string, command: number, flags: number, all: readonly (Buffer | undefined)[]): Promise<Buffer[]> {
    const family = await this.#resolve();
    const bytes = message(family, flags, header(command, this.#version), all);
    const answers = messages(await attemptAsync(what, () => native().netlinkRequest(this.#handle, bytes)));
    return answers.map(({ body }) => body.subarray(HEADER_BYTES));
  }

  close(): void {
    native().close(this.#handle);
  }
}

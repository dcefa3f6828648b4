// SPDX-License-Identifier: Apache-2.0
/** Which namespace was behind each interface when it was made: what an agent leaves to the next one. */
export class NetnsIds {
  readonly #ids: Record<string, string>;
  #isChanged = false;

  constructor(earlier: Readonly<Record<string, string>> = {}) {
    this.#ids = { ...earlier };
  }

  get(ifname: string): string | undefined {
    return this.#ids[ifname];
  }

  /** Undefined: the interface is gone. */
  set(ifname: string, id: string | undefined): void {
    if (this.#ids[ifname] === id) return;
    if (id === undefined) delete this.#ids[ifname];
    else this.#ids[ifname] = id;
    this.#isChanged = true;
  }

  /** All of them; undefined when nothing has changed since the last time. */
  take(): Record<string, string> | undefined {
    if (!this.#isChanged) return undefined;
    this.#isChanged = false;
    return { ...this.#ids };
  }
}

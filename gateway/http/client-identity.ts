import type { IncomingMessage } from 'node:http';
import { type ApiKeys, authorizationOf } from './auth.ts';
import type { ClientAddresses } from './client-address.ts';

type Request = Pick<IncomingMessage, 'headers' | 'socket'>;

/** Says who sends a request, so that work can be shared out fairly among clients. */
export class ClientIdentity {
  readonly #keys: ApiKeys;
  readonly #addresses: ClientAddresses;
  /** By request: a body, a place and media are counted under one name, and a key is hashed once. */
  readonly #names = new WeakMap<Request, string>();

  constructor(keys: ApiKeys, addresses: ClientAddresses) {
    this.#keys = keys;
    this.#addresses = addresses;
  }

  /**
   * Returns the name of a request's client: its key if keys are checked, which the name does not
   * tell, otherwise its network. A key that nobody checks could be another one in every request.
   */
  nameOf(request: Request): string {
    const known = this.#names.get(request);
    if (known !== undefined) return known;
    const key = this.#keys.nameOf(authorizationOf(request.headers));
    const name = key === undefined ? `address:${this.#addresses.networkOf(request)}` : `key:${key}`;
    this.#names.set(request, name);
    return name;
  }
}

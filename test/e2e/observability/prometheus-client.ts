import assert from 'node:assert/strict';
import { property } from '#test/e2e/mesh.ts';

/** A value of a query's answer, and the labels that it is for. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Asks a Prometheus over its API. */
export class PrometheusClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Returns the values of a query at this moment; throws if it is none. */
  async query(expr: string): Promise<readonly Sample[]> {
    const data = await this.#get(`/api/v1/query?query=${encodeURIComponent(expr)}`);
    const found = property(data, 'result');
    assert(Array.isArray(found), expr);
    return found.map((one: unknown) => ({
      labels: Object.fromEntries(
        Object.entries(Object(property(one, 'metric'))).map(([name, value]) => [
          name,
          String(value),
        ]),
      ),
      value: Number(property(one, 'value', 1)),
    }));
  }

  /** Returns the names of all metrics that it has scraped, those without samples included. */
  async names(): Promise<ReadonlySet<string>> {
    const data = await this.#get('/api/v1/metadata');
    return new Set(Object.keys(Object(data)));
  }

  /** Returns its rules, each with its health: `ok`, `err` or `unknown`. */
  async rules(): Promise<readonly { readonly name: string; readonly health: string }[]> {
    const groups = property(await this.#get('/api/v1/rules'), 'groups');
    assert(Array.isArray(groups));
    return groups
      .flatMap((group: unknown) => property(group, 'rules'))
      .map((rule) => ({
        name: String(property(rule, 'name')),
        health: String(property(rule, 'health')),
      }));
  }

  /** Returns the addresses of the Alertmanagers that it tells. */
  async alertmanagers(): Promise<readonly string[]> {
    const active = property(await this.#get('/api/v1/alertmanagers'), 'activeAlertmanagers');
    assert(Array.isArray(active));
    return active.map((one: unknown) => String(property(one, 'url')));
  }

  async #get(path: string): Promise<unknown> {
    const answer = await fetch(`${this.#url}${path}`);
    const body: unknown = await answer.json();
    assert.equal(property(body, 'status'), 'success', JSON.stringify(body));
    return property(body, 'data');
  }
}

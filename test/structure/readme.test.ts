import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROLES } from '#deploy/local/roles.ts';
import { kebabCase } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { README, readmeSection } from '#test/readme.ts';

interface OptionFacts {
  readonly description?: string;
  readonly default?: unknown;
}

interface OptionRow {
  readonly description: string;
  readonly roles: string[];
  /** Default values as Markdown, each once. */
  readonly defaults: Set<string>;
}

/** Makes the README's table of options from the schemas. */
function optionTable(): string {
  const rows = new Map<string, OptionRow>();
  for (const role of ROLES) {
    for (const [name, option] of Object.entries<OptionFacts>(role.options.properties)) {
      const { description = '', default: value } = option;
      const row = rows.get(name) ?? { description, roles: [], defaults: new Set() };
      row.roles.push(role.name);
      if (value !== undefined) row.defaults.add(`\`${JSON.stringify(value)}\``);
      rows.set(name, row);
    }
  }
  const lines = [...rows].map(([name, { description, roles, defaults }]) => {
    const cells = [`\`${kebabCase(name)}\``, roles.join(', '), [...defaults].join(', ')];
    return `| ${cells.join(' | ')} | ${description.replaceAll('|', '\\|')} |`;
  });
  return `| key | process | default | meaning |\n|---|---|---|---|\n${lines.join('\n')}\n`;
}

/** Reads the names in the `dependencies` and `devDependencies` of package.json. */
function dependencies(): string[] {
  const manifest: unknown = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  assert(typeof manifest === 'object' && manifest !== null);
  return ['dependencies', 'devDependencies'].flatMap((kind) => {
    const group: unknown = Reflect.get(manifest, kind);
    assert(typeof group === 'object' && group !== null);
    return Object.keys(group);
  });
}

describe('README.md', () => {
  it('lists the options as the schemas have them', () => {
    assert.equal(readmeSection('options'), optionTable());
  });

  it('says how often the demo model is right as its eval.json does', () => {
    const [, model = ''] = README.split('## The demo model\n');
    const [figures = ''] = model.split('\n## ');
    const path = join(PACKAGE_ROOT, 'deploy/models/phone-nano/eval.json');
    const evaluation: { reference_accuracy: Record<string, number> } = JSON.parse(
      readFileSync(path, 'utf8'),
    );

    assert.deepEqual(
      [...figures.matchAll(/(\d+\.\d) %/g)].map(([, percent]) => Number(percent)),
      Object.values(evaluation.reference_accuracy),
    );
  });

  it('says of each dependency what it does for us', () => {
    const cells = readmeSection('dependencies')
      .split('\n')
      .map((row) => row.split('|')[1] ?? '');
    const listed = [...cells.join().matchAll(/`([^`]+)`/g)].map(([, name]) => name);

    assert.deepEqual([...listed].sort(), dependencies().sort());
  });
});

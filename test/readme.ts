import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

/** Text of the README that stands at the top of the repository. */
export const README = readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8');

/** Returns the text between `<!-- name -->` and `<!-- /name -->`. */
export function readmeSection(name: string): string {
  const [, rest = ''] = README.split(`<!-- ${name} -->\n`);
  return rest.split(`<!-- /${name} -->`)[0] ?? '';
}

/** Returns the fenced blocks of a language. */
export function readmeBlocks(language: string): string[] {
  const pattern = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g');
  return [...README.matchAll(pattern)].map(([, block = '']) => block.trim());
}

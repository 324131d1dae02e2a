import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { errorPage } from '#deploy/error-page/error-page.ts';
import { TROUBLES } from '#deploy/error-page/troubles.ts';
import { ROLES } from '#deploy/local/roles.ts';
import { docOf, ERROR_PAGE, ERRORS, isErrorReason } from '#mesh/errors.ts';
import { kebabCase } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const PAGE = readFileSync(join(PACKAGE_ROOT, ERROR_PAGE), 'utf8');

/** Returns the anchors of a page's headings, made as Git hosts make them. */
function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe(ERROR_PAGE, () => {
  it('is what the tables in the source give', () => {
    assert.equal(PAGE, errorPage(), '"npm run gen" writes it');
  });

  it('has the place to which each failure points, once', () => {
    const anchors = anchorsOf(PAGE);

    for (const reason of Object.keys(ERRORS).filter(isErrorReason)) {
      const [page, anchor] = docOf(reason).split('#');
      assert.equal(page, ERROR_PAGE);
      assert.equal(anchors.filter((one) => one === anchor).length, 1, reason);
    }
  });

  it('names only options that exist', () => {
    const options = new Set(
      ROLES.flatMap((role) => Object.keys(role.options.properties)).map(kebabCase),
    );
    const texts = [...Object.values(ERRORS), ...TROUBLES].flatMap(({ meaning, cure }) => [
      meaning,
      cure,
    ]);
    // An option is a word with a hyphen in backticks, perhaps with a value behind it.
    const named = texts.flatMap((text) =>
      [...text.matchAll(/`([a-z]+(?:-[a-z]+)+)(?::[^`]*)?`/g)].map(([, name = '']) => name),
    );
    const others = ['nvidia-smi', 'retry-after'];

    assert(named.length > 30);
    assert.deepEqual(
      named.filter((name) => !options.has(name) && !others.includes(name)),
      [],
    );
  });
});

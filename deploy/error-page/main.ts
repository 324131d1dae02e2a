// The part of `npm run gen` that writes the page of errors, below the folder that is named.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERROR_PAGE } from '#mesh/errors.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { errorPage } from './error-page.ts';

writeFileSync(join(process.argv[2] ?? PACKAGE_ROOT, ERROR_PAGE), errorPage());

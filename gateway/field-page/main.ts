// The part of `npm run gen` that writes the page of request fields, below the folder that is named.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { FIELD_PAGE, fieldPage } from './field-page.ts';

writeFileSync(join(process.argv[2] ?? PACKAGE_ROOT, FIELD_PAGE), fieldPage());

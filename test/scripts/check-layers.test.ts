import { layerProblems } from '../../scripts/check-layers.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

const MAP = `# Map

| layer | folder | responsible for | may import |
|---|---|---|---|
| 0 | \`src/base/\` | errors | \`node:*\` |
| 1 | \`src/pki/\` | trust | base |
| 1 | \`src/pki/issue/\` | makes certificates | base, pki; pkijs, yaml in \`manifest.ts\` |
| 2 | \`src/config/\` | configuration | base; zod in \`schema/\` |
| 2 | \`src/backend/\` | connections | base; undici |
| 3 | \`src/frontend/\` | accepts | base |
| 3 | \`src/forward/\` | forwards | base, backend |
| 4 | \`src/snapshot/\` | builds | 0–3 |
| 6 | \`src/cli/\` | commands | all but frontend, forward |

Contracts: \`src/config/linked.ts\`, \`src/frontend/contract.ts\`.
`;

const DEPENDENCIES = { pkijs: '1', yaml: '1', zod: '1', undici: '1' };
const CONTRACTS = {
  'src/config/linked.ts':
    "import type { Digest } from '../base/digest.ts';\nexport interface Linked {\n  readonly digest: Digest;\n}\n",
  'src/frontend/contract.ts': 'export type Reason = string;\n',
  'src/base/digest.ts': 'export type Digest = string;\n',
};

function problemsOf(files: Readonly<Record<string, string>>, map = MAP): readonly string[] {
  using folder = makeTempFolder();
  folder.write('docs/map.md', map);
  folder.write('package.json', JSON.stringify({ dependencies: DEPENDENCIES }));
  for (const [name, content] of Object.entries({ ...CONTRACTS, ...files })) folder.write(name, content);
  return layerProblems(folder.path);
}

describe('layerProblems()', () => {
  test('finds nothing where the table holds', () => {
    const files = {
      'src/base/errors.ts': "import { inspect } from 'node:util';\nexport const show = inspect;\n",
      'src/base/_private.ts': 'export const a = 1;\n',
      'src/base/public.ts': "import { a } from './_private.ts';\nexport const b = a;\n",
      'src/pki/issue/manifest.ts':
        "import { parse } from 'yaml';\nimport { Certificate } from 'pkijs';\nexport { parse, Certificate };\nexport const x = 1;\n",
      'src/config/schema/a.ts': "import { z } from 'zod';\nexport const a = z;\n",
      'src/backend/pool.ts': "import { Pool } from 'undici';\nexport const p = Pool;\n",
      'src/forward/relay.ts':
        "import { p } from '../backend/pool.ts';\nimport type { Linked } from '../config/linked.ts';\nexport const r: Linked = p;\n",
      'src/snapshot/build.ts':
        "import { r } from '../forward/relay.ts';\nexport const s = () => [r, import('../pki/issue/manifest.ts')];\n",
    };
    expect(problemsOf(files)).toEqual([]);
  });

  test.each([
    [
      'a room that its row does not name',
      'src/pki/a.ts',
      "import { b } from '../backend/b.ts';",
      'src/pki/ may import base; it may not import src/backend/ (docs/map.md)',
    ],
    [
      'a room by way of import()',
      'src/pki/a.ts',
      "export const x = import('../backend/b.ts');",
      'src/pki/ may import base; it may not import src/backend/ (docs/map.md)',
    ],
    [
      'a type of a room that its row does not name',
      'src/pki/a.ts',
      "import type { b } from '../backend/b.ts';",
      'src/pki/ may import base; it may not import src/backend/ (docs/map.md)',
    ],
    [
      'a re-export across rooms',
      'src/pki/a.ts',
      "export const x = 1;\nexport { b } from '../backend/b.ts';",
      'src/pki/ may import base; it may not import src/backend/ (docs/map.md)',
    ],
    [
      'an import over several lines',
      'src/pki/a.ts',
      "import {\n  b,\n} from '../backend/b.ts';",
      'src/pki/ may import base; it may not import src/backend/ (docs/map.md)',
    ],
    [
      'a room above',
      'src/base/a.ts',
      "import { c } from '../pki/c.ts';",
      'src/base/ may import no other room; it may not import src/pki/ (docs/map.md)',
    ],
    [
      'the parent room where only the child is named',
      'src/pki/c.ts',
      "import { d } from './issue/d.ts';",
      'src/pki/ may import base; it may not import src/pki/issue/ (docs/map.md)',
    ],
    [
      'a room that the row bars',
      'src/cli/a.ts',
      "import type { f } from '../forward/f.ts';",
      'it may not import src/forward/',
    ],
    [
      'frontend from forward, even its contract',
      'src/forward/a.ts',
      "import type { Reason } from '../frontend/contract.ts';",
      'it may not import src/frontend/',
    ],
    [
      'a contract as more than types',
      'src/pki/a.ts',
      "import { Linked } from '../config/linked.ts';",
      'it may not import src/config/',
    ],
    [
      'a package that lives elsewhere',
      'src/forward/a.ts',
      "import type { Dispatcher } from 'undici';",
      'undici stays in src/backend/',
    ],
    [
      'a package outside its part of the room',
      'src/config/link.ts',
      "import { z } from 'zod';",
      'zod stays in src/config/schema/',
    ],
    [
      'a package outside its file',
      'src/pki/issue/d2.ts',
      "import { parse } from 'yaml';",
      'yaml stays in src/pki/issue/manifest.ts',
    ],
    [
      'a package that no row names',
      'src/base/a.ts',
      "import lodash from 'lodash/fp';",
      'lodash stays in no room of docs/map.md',
    ],
    ['a builtin without its scheme', 'src/base/a.ts', "import fs from 'fs';", "write 'node:fs'"],
    [
      'a subpath import',
      'src/base/a.ts',
      "import { d } from '#src/base/digest.ts';",
      'inside src imports are relative',
    ],
    ['a test', 'src/base/a.ts', "import { x } from '../../test/harness/x.ts';", 'src never imports test'],
    ['what lies outside src', 'src/base/a.ts', "import { x } from '../../scripts/x.ts';", 'it leaves src'],
    ['a .js name', 'src/base/a.ts', "import type { Digest } from './digest.js';", "relative imports end in '.ts'"],
    ['a missing file', 'src/base/a.ts', "import './nowhere.ts';", 'there is no such file'],
    [
      "another folder's private file",
      'src/pki/a.ts',
      "import { p } from '../base/_p.ts';",
      "files that begin with '_' are private to their folder, src/base/",
    ],
  ])('refuses %s', (_what, path, code, message) => {
    const files = {
      'src/backend/b.ts': 'export const b = 1;\n',
      'src/pki/c.ts': 'export const c = 1;\n',
      'src/pki/issue/d.ts': 'export const d = 1;\n',
      'src/forward/f.ts': 'export const f = 1;\n',
      'src/base/_p.ts': 'export const p = 1;\n',
    };
    const problems = problemsOf({ ...files, [path]: `${code}\n` });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^src\/[a-z/0-9]+\.ts:\d+: Cannot import '/);
    expect(problems[0]).toContain(message);
  });

  test('names the line of the import', () => {
    const problems = problemsOf({ 'src/base/a.ts': "// why\n\nimport fs from 'fs';\n" });
    expect(problems).toEqual(["src/base/a.ts:3: Cannot import 'fs': write 'node:fs'"]);
  });

  test('refuses a circle once and shows it; a circle of types only is none', () => {
    const circle = (word: string) => ({
      'src/base/a.ts': "import { b } from './b.ts';\nexport const a = () => b;\n",
      'src/base/b.ts': "import { c } from './c.ts';\nexport const b = () => c;\n",
      'src/base/c.ts': `import ${word}{ a } from './a.ts';\nexport const c = () => a;\n`,
    });
    expect(problemsOf(circle(''))).toEqual([
      'src/base/a.ts:1: Cannot import in a circle: src/base/a.ts → src/base/b.ts → src/base/c.ts → src/base/a.ts',
    ]);
    expect(problemsOf(circle('type '))).toEqual([]);
  });

  test.each([
    ['src/base/all.ts', "export * from './digest.ts';\n", "Cannot use 'export *'"],
    ['src/base/index.ts', 'export const a = 1;\n', 'Cannot name a file index.ts'],
    ['src/base/all.ts', "// everything\nexport type { Digest } from './digest.ts';\n", 'Cannot keep a barrel'],
  ])('refuses the barrel %s: %j', (path, code, message) => {
    const problems = problemsOf({ [path]: code });
    expect(problems).toEqual([expect.stringContaining(`${path}:1: ${message}`)]);
  });

  test('refuses a contract with code in it, one that is missing, and a file without a room', () => {
    expect(problemsOf({ 'src/config/linked.ts': 'export const linked = 1;\n' })[0]).toContain(
      'Cannot be a contract: it has code',
    );
    expect(problemsOf({}, MAP.replace('linked.ts', 'gone.ts'))[0]).toContain(
      'Cannot find the contract src/config/gone.ts',
    );
    expect(problemsOf({ 'src/attic/a.ts': 'export const a = 1;\n' })).toEqual([
      'src/attic/a.ts:1: Cannot place this file: docs/map.md has no row for its folder',
    ]);
  });

  test('throws where the map itself cannot be read', () => {
    expect(() => problemsOf({}, '# Map\n')).toThrow('Cannot read docs/map.md: found no row');
    expect(() => problemsOf({}, MAP.replace('| base, backend |', '| base, attic |'))).toThrow(
      "names 'attic', which has no row",
    );
  });
});

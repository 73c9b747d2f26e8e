// Pages refer to pages and files; what they refer to has to be there.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const PAGES = globSync(['*.md', 'docs/**/*.md', 'config/*.md'], { cwd: ROOT });

test.each(PAGES)('every file and heading that %s links to is there', (page) => {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => /^[\w./#-]+$/.test(link) && !link.startsWith('[')); // no URL, no regular expression
  expect(links.filter((link) => !isThere(page, link))).toEqual([]);
});

test('every file that docs/map.md names is there', () => {
  const named = [...read('docs/map.md').matchAll(/`((?:[\w-]+\/)+[\w.-]+\.ts)`/g)].map((match) => match[1] ?? '');
  expect(named.length).toBeGreaterThan(60);
  expect(named.filter((file) => !existsSync(join(ROOT, file)) && !existsSync(join(ROOT, 'src', file)))).toEqual([]);
});

test('every test and script that a page names is there', () => {
  const missing = PAGES.flatMap((page) =>
    [...read(page).matchAll(/`(?:node )?((?:test|bench|scripts|deploy)\/[\w./-]+\.\w+)`/g)]
      .map((match) => match[1] ?? '')
      .filter((file) => !existsSync(join(ROOT, file)))
      .map((file) => `${page}: ${file}`),
  );
  expect(missing).toEqual([]);
});

function isThere(page: string, link: string): boolean {
  const [path = '', heading] = link.split('#');
  const file = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
  if (!existsSync(file)) return false;
  return heading === undefined || headingsOf(readFileSync(file, 'utf8')).includes(heading);
}

/** As GitHub makes anchors: lower case, spaces to hyphens, without punctuation. */
function headingsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

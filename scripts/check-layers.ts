// `npm run layers`: holds the imports of src/ to the table in docs/map.md, which is read, not repeated. Also: files that begin with
// `_` stay private to their folder, no cycles, no barrels, nothing from test/, packages only where the table names them. Contracts
// (listed in docs/map.md) hold types only, and any room may `import type` from them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix, relative, sep } from 'node:path';

/** Every violation, one a line: `src/…:line: message`. Empty when the table holds. */
export function layerProblems(root: string): readonly string[] {
  const map = readFileSync(join(root, 'docs', 'map.md'), 'utf8');
  const rooms = readTable(map);
  const contracts = readContracts(map);
  const dependencies = runtimeDependencies(root);
  const sources = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => readSource(root, path));
  const known = new Set(sources.map((source) => source.path));
  const problems: string[] = [];
  for (const contract of contracts) {
    if (!known.has(contract))
      problems.push(`docs/map.md:1: Cannot find the contract ${contract}: there is no such file`);
  }
  for (const source of sources) {
    if (contracts.has(source.path) && !isTypesOnly(source)) {
      problems.push(
        `${source.path}:1: Cannot be a contract: it has code; move the code out or take it off the list in docs/map.md`,
      );
    }
    const room = roomOf(source.path, rooms);
    if (room === null) {
      problems.push(`${source.path}:1: Cannot place this file: docs/map.md has no row for its folder`);
      continue;
    }
    for (const { specifier, line, typeOnly } of source.imports) {
      const message = specifier.startsWith('.')
        ? relativeProblem(source, room, specifier, rooms, known, typeOnly ? contracts : NONE)
        : packageProblem(source, room, specifier, rooms, dependencies);
      if (message !== null) problems.push(`${source.path}:${line}: Cannot import '${specifier}': ${message}`);
    }
    const barrel = barrelProblem(source);
    if (barrel !== null) problems.push(`${source.path}:1: ${barrel}`);
  }
  return [...problems, ...cycles(sources)];
}

interface Room {
  readonly layer: number;
  /** Below src/, for instance 'pki/issue'. */
  readonly folder: string;
  readonly mayImport: ReadonlySet<string>;
  /** Package → the part of the room's folder that may import it ('' = all of it). */
  readonly packages: ReadonlyMap<string, string>;
}

interface Source {
  /** From the repository's root, with '/'. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly { readonly specifier: string; readonly line: number; readonly typeOnly: boolean }[];
}

/** The rows `| layer | \`src/folder/\` | … | rooms; packages |` of docs/map.md. */
function readTable(markdown: string): readonly Room[] {
  const rows = markdown.split('\n').flatMap((line) => {
    const row = /^\| (\d) \| `src\/([a-z/-]+)\/` \|.*\| ([^|]+) \|$/.exec(line);
    return row === null ? [] : [{ layer: Number(row[1]), folder: row[2] ?? '', cell: row[3] ?? '' }];
  });
  if (rows.length === 0) throw new Error('Cannot read docs/map.md: found no row like | 0 | `src/base/` | … | … |');
  return rows.map(({ layer, folder, cell }) => {
    const [roomText = '', packageText = ''] = cell.split(';').map((part) => part.trim());
    return { layer, folder, mayImport: readRooms(folder, roomText, rows), packages: readPackages(packageText) };
  });
}

/** 'base, pki' or '0–3' or 'all but frontend, forward'; `node:*` and '' name no room. */
function readRooms(
  folder: string,
  text: string,
  rows: readonly { readonly layer: number; readonly folder: string }[],
): ReadonlySet<string> {
  const names = (list: string) => {
    return list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && name !== '`node:*`');
  };
  const folders = rows.map((row) => row.folder);
  const exact = (name: string) => {
    if (folders.includes(name)) return name;
    throw new Error(`Cannot read docs/map.md: the row of src/${folder}/ names '${name}', which has no row`);
  };
  if (text.startsWith('all but ')) {
    const barred = new Set(names(text.slice('all but '.length)).map(exact));
    return new Set(folders.filter((name) => !barred.has(name)));
  }
  return new Set(
    names(text).flatMap((name) => {
      const range = /^(\d)–(\d)$/.exec(name);
      if (range === null) return [exact(name)];
      return rows
        .filter((row) => row.layer >= Number(range[1]) && row.layer <= Number(range[2]))
        .map((row) => row.folder);
    }),
  );
}

/** 'pino, zod in `schema/`'. */
function readPackages(text: string): ReadonlyMap<string, string> {
  const packages = new Map<string, string>();
  for (const item of text.split(',').map((part) => part.trim())) {
    const named = /^([@a-z0-9/-]+)(?: in `([^`]+)`)?$/.exec(item);
    if (named !== null) packages.set(named[1] ?? '', named[2] ?? '');
    else if (item !== '')
      throw new Error(`Cannot read docs/map.md: found '${item}', expected a package or 'package in \`path\`'`);
  }
  return packages;
}

function relativeProblem(
  source: Source,
  room: Room,
  specifier: string,
  rooms: readonly Room[],
  known: ReadonlySet<string>,
  contracts: ReadonlySet<string>,
): string | null {
  const target = posix.join(posix.dirname(source.path), specifier);
  if (target.startsWith('test/')) return 'src never imports test';
  if (target === 'package.json') return 'read it at run time instead; its place differs once compiled';
  if (!target.startsWith('src/')) return 'it leaves src';
  if (!specifier.endsWith('.ts')) return "relative imports end in '.ts'";
  if (!known.has(target)) return 'there is no such file';
  if (posix.basename(target).startsWith('_') && posix.dirname(target) !== posix.dirname(source.path)) {
    return `files that begin with '_' are private to their folder, ${posix.dirname(target)}/`;
  }
  const other = roomOf(target, rooms);
  if (other === null || other.folder === room.folder || room.mayImport.has(other.folder)) return null;
  if (contracts.has(target) && !STRANGERS.every((folder) => folder === room.folder || folder === other.folder))
    return null;
  const allowed = [...room.mayImport].join(', ') || 'no other room';
  return `src/${room.folder}/ may import ${allowed}; it may not import src/${other.folder}/ (docs/map.md)`;
}

function packageProblem(
  source: Source,
  room: Room,
  specifier: string,
  rooms: readonly Room[],
  dependencies: ReadonlySet<string>,
): string | null {
  if (specifier.startsWith('node:')) return null;
  if (specifier.startsWith('#')) return 'inside src imports are relative';
  if (builtinModules.includes(specifier)) return `write 'node:${specifier}'`;
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const part = room.packages.get(name);
  if (part === undefined || !within(source.path, room.folder, part)) {
    const places = rooms.flatMap((other) => {
      const place = other.packages.get(name);
      return place === undefined ? [] : [`src/${other.folder}/${place}`];
    });
    return `${name} stays in ${places.join(' and ') || 'no room of docs/map.md'}`;
  }
  return dependencies.has(name) ? null : `${name} is not among the dependencies of package.json`;
}

function within(path: string, folder: string, part: string): boolean {
  const place = `src/${folder}/${part}`;
  return place.endsWith('/') ? path.startsWith(place) : path === place;
}

/** A file that only passes on what others export hides where a thing lives, and makes cycles. */
function barrelProblem(source: Source): string | null {
  if (/^export\s+\*/m.test(source.text)) return "Cannot use 'export *': import a thing from the file that has it";
  if (posix.basename(source.path) === 'index.ts') return 'Cannot name a file index.ts: name it after its one concept';
  const code = source.text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const rest = code.replace(/^(?:import|export)\s[^'";]*from\s*'[^']+';?$/gm, '').trim();
  const reexports = /^export\s[^'";]*from\s*'/m.test(code);
  return reexports && rest === '' ? 'Cannot keep a barrel: this file only passes on what other files export' : null;
}

function cycles(sources: readonly Source[]): readonly string[] {
  const edges = new Map(
    sources.map((source) => [
      source.path,
      source.imports
        .filter(({ specifier, typeOnly }) => specifier.startsWith('.') && !typeOnly) // types are gone at run time
        .map(({ specifier }) => posix.join(posix.dirname(source.path), specifier)),
    ]),
  );
  const problems: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const path: string[] = [];
  const visit = (file: string): void => {
    if (state.get(file) === 'done' || !edges.has(file)) return;
    if (state.get(file) === 'open') {
      const circle = [...path.slice(path.indexOf(file)), file];
      problems.push(`${file}:1: Cannot import in a circle: ${circle.join(' → ')}`);
      return;
    }
    state.set(file, 'open');
    path.push(file);
    for (const next of edges.get(file) ?? []) visit(next);
    path.pop();
    state.set(file, 'done');
  };
  for (const source of sources) visit(source.path);
  return problems;
}

/** The room with the longest folder that holds the file: src/pki/issue before src/pki. */
function roomOf(path: string, rooms: readonly Room[]): Room | null {
  const holding = rooms.filter((room) => path.startsWith(`src/${room.folder}/`));
  return holding.toSorted((a, b) => b.folder.length - a.folder.length)[0] ?? null;
}

/** The formatter puts every import and export at the start of a line; import() may stand anywhere. */
function readSource(root: string, file: string): Source {
  const text = readFileSync(file, 'utf8');
  const path = relative(root, file).split(sep).join('/');
  const imports = [...text.matchAll(IMPORT)].map((match) => ({
    specifier: match[2] ?? match[3] ?? match[4] ?? '',
    line: text.slice(0, match.index).split('\n').length,
    typeOnly: match[1] !== undefined,
  }));
  return { path, text, imports };
}

function runtimeDependencies(root: string): ReadonlySet<string> {
  const file = join(root, 'package.json');
  if (!existsSync(file)) return new Set();
  const { dependencies } = JSON.parse(readFileSync(file, 'utf8')) as { dependencies?: Record<string, string> };
  return new Set(Object.keys(dependencies ?? {}));
}

/** Every statement (the formatter starts each at the beginning of a line) is one that type stripping removes. */
function isTypesOnly(source: Source): boolean {
  const starts = source.text.match(/^[a-zA-Z].*$/gm) ?? [];
  return starts.every((line) => /^(?:import type|(?:export )?(?:type|interface))\b/.test(line));
}

/** The line `Contracts: \`src/…\`, …` of docs/map.md. */
function readContracts(markdown: string): ReadonlySet<string> {
  const line = markdown.split('\n').find((text) => text.startsWith('Contracts: ')) ?? '';
  return new Set([...line.matchAll(/`(src\/[^`]+)`/g)].map((match) => match[1] ?? ''));
}

const IMPORT =
  /^(?:import|export)\b(\s+type\b)?[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]|\bimport\(\s*['"`]([^'"`]+)['"`]/gm;
const NONE: ReadonlySet<string> = new Set();
/** The two doors know nothing of each other, types included: the snapshot introduces them. */
const STRANGERS: readonly string[] = ['frontend', 'forward'];

if (import.meta.main) {
  const problems = layerProblems(dirname(import.meta.dirname));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}

// The table of codes against spec 2.8 and against the tests: no word without a test, none left out without a reason.
import { readdirSync, readFileSync } from 'node:fs';
import { CODES } from '#src/base/error-codes.ts';
import type { CodeSpec } from '#src/base/errors.ts';
import { UNMET_WORDS } from '../../scripts/unmet-words.ts';

const TESTS = new URL('../', import.meta.url);
const codes: (readonly [string, CodeSpec])[] = Object.entries(CODES);
/** What the tests and the tables that several of them run say, file by file; this one says nothing. */
const texts = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.includes('node_modules') && path !== 'base/vocabulary.test.ts')
  .map((path) => readFileSync(new URL(path, TESTS), 'utf8'));
/** What went well, or was done on purpose: no failure, hence no code. */
const NO_FAILURES = ['response_sent_by_backend', 'websocket_closed', 'direct_response', 'fault_filter_abort'];

/** Files that name it as a string of its own. */
function filesWith(word: string): readonly string[] {
  const quoted = new RegExp(`['"|\\[/^(]${word}['"|\\]/$)]`);
  return texts.filter((text) => quoted.test(text));
}

/** The words of the tables of spec 2.8, where `a / _b` stands for `a` and, in the family of a's beginning, `b`. */
function documentedWords(): readonly string[] {
  const spec = readFileSync(new URL('../docs/reference/behaviour.md', TESTS), 'utf8');
  const section = spec.slice(spec.indexOf('### 2.8'), spec.indexOf('### 2.9'));
  return section.split('\n').flatMap((line) => {
    const cell = /^\| ([a-z][a-z0-9_]+(?:[ ,/]+[a-z0-9_]+)*) \|/.exec(line)?.[1] ?? '';
    const words = cell.split(/[ ,/]+/).filter((word) => word.includes('_'));
    return words.map((word) => (word.startsWith('_') ? `byte_range_caching${word}` : word));
  });
}

test('spec 2.8 is read whole', () => {
  const words = documentedWords();
  expect(words).toHaveLength(90);
  expect(new Set(words).size).toBe(words.length);
  for (const word of ['response_from_cache_validated', 'client_cert_exceeded_size_limit', 'websocket_handshake_failed'])
    expect(words).toContain(word);
});

test.each(documentedWords())('%s of spec 2.8 has a code, goes well, or has a reason why it is not met', (word) => {
  const homes = [
    codes.some(([, spec]) => spec.statusDetails === word),
    NO_FAILURES.includes(word),
    word in UNMET_WORDS,
  ];
  expect(homes.filter((has) => has)).toHaveLength(1);
});

test.each(NO_FAILURES)('%s is asserted by a test', (word) => {
  expect(filesWith(word).filter((text) => text.includes('statusDetails')).length).toBeGreaterThan(0);
});

test.each(codes)('%s is asserted by a test, or says why it cannot be reached', (code, spec) => {
  if (spec.unreachable !== undefined) {
    expect(spec.unreachable).toMatch(/\.$/);
    return;
  }
  expect(filesWith(spec.statusDetails).some((text) => text.includes('statusDetails'))).toBe(true);
  expect(texts.some((text) => new RegExp(`\\b${code}\\b`).test(text))).toBe(true);
});

// Thousands of generated chains, judged by `verify()` and by `openssl verify`. Wherever the two differ a named class must say why, and
// prove it: a chain that only this verifier accepts must be accepted by OpenSSL once it is given the path that was found.
import { execFile } from 'node:child_process';
import { hash, X509Certificate } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { certificatePem } from '#src/pki/issue/issue.ts';
import { type TrustStore, trustStore } from '#src/pki/trust-store.ts';
import type { Trusted, Verdict } from '#src/pki/verdict.ts';
import { verify } from '#src/pki/verify.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';
import { AT_MS, type KeyRing, type Made, makeKeyRing, makeTopology, type Situation } from './chain-generator.ts';
import { CLASSES, type Comparison, classOf, describeComparison, differs, everyCa } from './verifier-differences.ts';

const TOPOLOGIES = 80;
const comparisons: Comparison[] = [];
let keys: KeyRing;
let folder: TempFolder;

beforeAll(async () => {
  folder = makeTempFolder();
  keys = await makeKeyRing();
  let next = 0;
  const lane = async () => {
    while (next < TOPOLOGIES) await compareTopology(next++);
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, lane));
}, 300_000);

afterAll(() => folder.remove());

test('thousands of chains were compared, and both verdicts are common', () => {
  const accepted = comparisons.filter(({ ours }) => ours.ok).length;
  expect(comparisons.length).toBeGreaterThanOrEqual(3000);
  expect(accepted).toBeGreaterThan(comparisons.length / 5);
  expect(accepted).toBeLessThan((comparisons.length * 4) / 5);
});

test('every difference has a class', () => {
  expect(comparisons.filter((one) => differs(one) && classOf(one) === null).map(describeComparison)).toEqual([]);
});

test.each(CLASSES.map(({ name }) => name))('the class %s occurs', (name) => {
  expect(comparisons.filter((one) => differs(one) && classOf(one)?.name === name).length).toBeGreaterThan(0);
});

async function compareTopology(index: number): Promise<void> {
  const { leaves, situations } = await makeTopology(index, keys);
  for (const [number, leaf] of leaves.entries()) folder.write(`${index}/leaf${number}.pem`, certificatePem(leaf.der));
  for (const [number, situation] of situations.entries()) {
    const { anchors, presented, storeIntermediates } = situation;
    const theirs = await opensslVerdicts({
      name: `${index}/${number}`,
      situation,
      anchors: anchors.map(({ der }) => der),
      untrusted: [...presented, ...storeIntermediates].map(({ der }) => der),
      targets: leaves.map((_, leaf) => `${index}/leaf${leaf}.pem`),
    });
    const store = storeOf(situation);
    for (const [at, leaf] of leaves.entries()) {
      const ours = judge(leaf, situation, store);
      const id = `${index}/${number}/${at}`;
      const comparison = {
        id,
        situation,
        leaf,
        ours,
        theirs: theirs[at]!,
        theirsAlongPath: null,
        theirsLinkByLink: null,
      };
      comparisons.push(ours.ok && comparison.theirs !== 'OK' ? await withPath(ours, comparison) : comparison);
    }
  }
}

function storeOf({ anchors, storeIntermediates }: Situation): TrustStore {
  const ders = (list: readonly Made[]) => list.map(({ der }) => der);
  return trustStore({
    name: 'generated',
    anchors: ders(anchors),
    intermediates: ders(storeIntermediates),
    allowlist: [],
    publicRoots: false,
  });
}

function judge(leaf: Made, { presented, purpose, hostName }: Situation, store: TrustStore): Verdict {
  return verify({
    chain: [leaf.der, ...presented.map(({ der }) => der)],
    store,
    purpose,
    names: { dnsNames: hostName === null ? [] : [hostName], uris: [] },
    atMs: AT_MS,
  });
}

/** Adds what OpenSSL says when it is given the path that was found and nothing else. */
async function withPath({ path }: Trusted, comparison: Comparison): Promise<Comparison> {
  const { id, situation } = comparison;
  const ders = new Map([comparison.leaf, ...everyCa(situation)].map(({ der }) => [hash('sha256', der, 'hex'), der]));
  const chain = path.map(({ sha256 }) => ders.get(sha256)!);
  const [index, , leaf] = id.split('/');
  const [theirsAlongPath = ''] = await opensslVerdicts({
    name: `${id}-path`,
    situation,
    anchors: chain.slice(-1),
    untrusted: chain.slice(1, -1),
    targets: [`${index}/leaf${leaf}.pem`],
  });
  if (theirsAlongPath === 'OK') return { ...comparison, theirsAlongPath };
  let theirsLinkByLink = 'OK';
  for (let depth = 0; depth + 1 < chain.length && theirsLinkByLink === 'OK'; depth++) {
    const [child, issuer] = [new X509Certificate(chain[depth]!), new X509Certificate(chain[depth + 1]!)];
    if (child.subject === child.issuer) {
      // It would call any self-issued certificate without key identifiers self-signed; the signature says whether it is.
      theirsLinkByLink = child.verify(issuer.publicKey) ? 'OK' : 'signature';
      continue;
    }
    const target = `${id}-link${depth}.pem`;
    folder.write(target, certificatePem(chain[depth]!));
    const anchors = [chain[depth + 1]!];
    const name = `${id}-link${depth}`;
    const link = { name, situation: depth === 0 ? situation : null, anchors, untrusted: [], targets: [target] };
    theirsLinkByLink = (await opensslVerdicts(link))[0]!;
  }
  return { ...comparison, theirsAlongPath, theirsLinkByLink };
}

interface OpensslQuestion {
  readonly name: string;
  /** null: neither purpose nor name are asked for, as of a CA. */
  readonly situation: Situation | null;
  readonly anchors: readonly Uint8Array[];
  readonly untrusted: readonly Uint8Array[];
  readonly targets: readonly string[];
}

/** One process for all targets. -partial_chain: anchors need not be self-signed; level 2: no SHA-1, no RSA under 2048 bits. */
async function opensslVerdicts({ name, situation, anchors, untrusted, targets }: OpensslQuestion): Promise<string[]> {
  const pem = (list: readonly Uint8Array[]) => list.map(certificatePem).join('');
  const options = [
    ...(situation === null ? [] : ['-purpose', situation.purpose === 'server' ? 'sslserver' : 'sslclient']),
    '-attime',
    String(AT_MS / 1000),
    '-partial_chain',
    '-auth_level',
    '2',
    '-no-CApath',
    '-no-CAstore',
    '-no-CAfile',
    ...(situation === null || situation.hostName === null ? [] : ['-verify_hostname', situation.hostName]),
  ];
  if (anchors.length > 0) {
    folder.write(`${name}.anchors.pem`, pem(anchors));
    options.push('-trusted', `${name}.anchors.pem`);
  }
  if (untrusted.length > 0) {
    folder.write(`${name}.untrusted.pem`, pem(untrusted));
    options.push('-untrusted', `${name}.untrusted.pem`);
  }
  const output = await run('openssl', ['verify', ...options, ...targets]);
  return targets.map((target) => verdictIn(output, target));
}

function verdictIn({ stdout, stderr }: Output, target: string): string {
  if (stdout.includes(`${target}: OK\n`)) return 'OK';
  const end = stderr.indexOf(`error ${target}: verification failed`);
  if (end < 0) throw new Error(`openssl says nothing about ${target}: ${stderr}`);
  const start = stderr.lastIndexOf('verification failed', end - 1);
  const first = /^error (\d+) at (\d+) depth lookup: (.*)$/m.exec(stderr.slice(Math.max(start, 0), end));
  return first === null ? stderr.slice(Math.max(start, 0), end) : `error ${first[1]} at ${first[2]} ${first[3]}`;
}

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

function run(file: string, args: readonly string[]): Promise<Output> {
  return new Promise((resolve) => {
    execFile(file, args, { cwd: folder.path }, (_failed, stdout, stderr) => resolve({ stdout, stderr }));
  });
}

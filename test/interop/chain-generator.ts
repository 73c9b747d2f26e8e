// Random PKIs, equal for equal seeds but for keys and signatures: cross-signs, loops, several CAs of one name or of one key, name
// constraints, and now and then one thing wrong.
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import {
  ADDRESSES,
  CA_KEY_USAGES,
  CA_PURPOSES,
  DNS_SANS,
  EXCLUDED,
  HOST_NAMES,
  LEAF_KEY_USAGES,
  LEAF_PURPOSES,
  LEAF_SUBJECTS,
  MAILBOXES,
  PERMITTED,
  tlv,
  URIS,
} from './chain-names.ts';

/** What was asked of the issuer, and what came out. */
export interface Made {
  readonly request: IssueRequest;
  /** One bit of the signature is wrong. */
  readonly isTampered: boolean;
  readonly der: Buffer;
}

/** One question about each leaf: what is trusted, and what is sent along. */
export interface Situation {
  readonly purpose: 'server' | 'client';
  /** null: the name does not matter. */
  readonly hostName: string | null;
  readonly anchors: readonly Made[];
  readonly storeIntermediates: readonly Made[];
  /** What the peer sends behind the leaf. */
  readonly presented: readonly Made[];
}

export interface Topology {
  readonly index: number;
  readonly leaves: readonly Made[];
  readonly situations: readonly Situation[];
}

/** Deterministic choices (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  some<T>(list: readonly T[], probability: number): T[] {
    return list.filter(() => this.chance(probability));
  }

  shuffled<T>(list: readonly T[]): T[] {
    const copy = [...list];
    for (let index = copy.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      [copy[index], copy[other]] = [copy[other]!, copy[index]!];
    }
    return copy;
  }
}

/** Key pairs that topologies share: making them is the slow part. */
export interface KeyRing {
  readonly cas: readonly Issued[];
  readonly leaf: Issued;
  readonly weak: readonly Issued[];
}

export async function makeKeyRing(): Promise<KeyRing> {
  const key = (keyType: NonNullable<IssueRequest['keyType']>) => issue({ subject: `CN=${keyType}`, keyType });
  const usual = await Promise.all(Array.from({ length: 6 }, () => key('p256')));
  return {
    cas: [...usual, await key('p384'), await key('rsa-2048')],
    leaf: await key('p256'),
    weak: [await key('rsa-1024'), await key('p521'), await key('ed25519')],
  };
}

export async function makeTopology(index: number, keys: KeyRing): Promise<Topology> {
  const dice = new Dice(SEED + index);
  const isLadder = dice.chance(0.08);
  const entities: Entity[] = [];
  for (const plan of isLadder ? ladder(dice, keys) : web(dice, keys)) {
    const handle = await issue({ subject: plan.subject, keyFrom: plan.key, ca: true });
    entities.push({ ...plan, handle: { ...handle, keys: plan.key.keys } });
  }
  const cas: Made[] = [];
  for (const entity of entities) {
    for (const issuer of entity.issuers) {
      cas.push(await make(dice, caRequest(dice, entity, entities[issuer]!, keys)));
    }
  }
  const issuers = entities.slice(isLadder ? -1 : Math.min(1, entities.length - 1));
  const leaves: Made[] = [];
  for (let count = 0; count < LEAVES; count++) {
    leaves.push(await make(dice, leafRequest(dice, dice.pick(issuers), keys)));
  }
  const situations = Array.from({ length: SITUATIONS }, () => situation(dice, cas, isLadder));
  return { index, leaves, situations };
}

function situation(dice: Dice, cas: readonly Made[], isLadder: boolean): Situation {
  const roots = cas.filter((made) => made.request.issuer === undefined);
  const others = cas.filter((made) => made.request.issuer !== undefined);
  return {
    purpose: dice.chance(0.8) ? 'server' : 'client',
    hostName: dice.chance(0.3) ? dice.pick(HOST_NAMES) : null,
    anchors: [...dice.some(roots, 0.85), ...dice.some(others, 0.1)],
    storeIntermediates: dice.some(others, 0.15),
    presented: dice.shuffled([...dice.some(others, 0.92), ...dice.some(roots, 0.15)]).slice(0, isLadder ? 11 : 9),
  };
}

/** For a failing case: everything that was chosen. */
export function describeMade({ request, isTampered }: Made): string {
  const { issuer, keyFrom, extensions, ...rest } = request;
  return JSON.stringify({
    ...rest,
    issuer: issuer?.subject,
    key: keyFrom?.subject,
    extensions: extensions?.map(({ oid, valueDer }) => `${oid} ${Buffer.from(valueDer).toString('hex')}`),
    isTampered,
  });
}

/** A CA as its issuers see it: a name and a key, with any number of certificates. */
interface EntityPlan {
  readonly subject: string;
  readonly key: Issued;
  /** Indexes of entities; its own: self-signed. */
  readonly issuers: readonly number[];
}

/** With a certificate that only lends its name and key identifier: so a CA can issue what issues it. */
interface Entity extends EntityPlan {
  readonly handle: Issued;
}

/** Layers with cross-signs and, now and then, an issuer below: a loop. */
function web(dice: Dice, keys: KeyRing): EntityPlan[] {
  const count = 2 + dice.below(5);
  const entities: EntityPlan[] = [];
  for (let index = 0; index < count; index++) {
    const issuers = new Set<number>();
    const isRoot = index === 0 || (index < 3 && dice.chance(0.3));
    if (isRoot) issuers.add(index);
    if (index > 0 && (!isRoot || dice.chance(0.4))) issuers.add(dice.below(index));
    if (index > 1 && dice.chance(0.3)) issuers.add(dice.below(index));
    if (dice.chance(0.12)) issuers.add(dice.below(count));
    const twin = entities.length > 0 && dice.chance(0.12) ? dice.pick(entities) : null;
    const sharesKey = twin !== null && dice.chance(0.4);
    entities.push({
      subject: twin !== null && !sharesKey ? twin.subject : caName(dice, index),
      key: sharesKey ? twin.key : keys.cas[index % keys.cas.length]!,
      issuers: [...issuers],
    });
  }
  return entities;
}

/** One straight line without faults, long enough to meet the limits on depth. */
function ladder(dice: Dice, keys: KeyRing): EntityPlan[] {
  return Array.from({ length: 7 + dice.below(5) }, (_, index) => ({
    subject: `CN=Step ${index}`,
    key: keys.cas[index % 6]!,
    issuers: [Math.max(0, index - 1)],
  }));
}

function caName(dice: Dice, index: number): string {
  return dice.chance(0.5) ? `CN=CA ${index},O=Example,C=DE` : `CN=CA ${index}`;
}

function caRequest(dice: Dice, entity: Entity, issuer: Entity, keys: KeyRing): IssueRequest {
  const isSelfSigned = issuer === entity;
  if (entity.subject.startsWith('CN=Step')) {
    return {
      subject: entity.subject,
      keyFrom: entity.key,
      ca: true,
      ...(isSelfSigned ? {} : { issuer: issuer.handle }),
      ...validity(dice, 0),
    };
  }
  const ca = !dice.chance(0.015);
  const extensions: NonNullable<IssueRequest['extensions']>[number][] = [];
  if (dice.chance(0.3)) extensions.push(nameConstraints(dice));
  if (dice.chance(0.015)) extensions.push({ oid: UNKNOWN_OID, critical: dice.chance(0.6), valueDer: NULL_DER });
  return {
    subject: entity.subject,
    keyFrom: dice.chance(0.01) ? dice.pick(keys.weak) : entity.key,
    ca,
    ...(isSelfSigned ? {} : { issuer: issuerHandle(dice, issuer, keys) }),
    ...(ca && dice.chance(0.25) ? { pathLength: dice.below(4) } : {}),
    ...validity(dice, 0.02),
    ...(dice.chance(0.12) ? { keyUsage: dice.pick(CA_KEY_USAGES) } : {}),
    ...(dice.chance(0.15) ? { extendedKeyUsage: dice.pick(CA_PURPOSES) } : {}),
    ...(dice.chance(0.01) ? { basicConstraints: false } : {}),
    keyIdentifiers: dice.chance(0.85),
    ...(dice.chance(0.015) ? { signatureHash: 'SHA-1' as const } : {}),
    serialHex: serial(dice),
    extensions,
  };
}

function leafRequest(dice: Dice, issuer: Entity, keys: KeyRing): IssueRequest {
  const extensions: NonNullable<IssueRequest['extensions']>[number][] = [];
  if (dice.chance(0.02)) extensions.push({ oid: UNKNOWN_OID, critical: dice.chance(0.6), valueDer: NULL_DER });
  const names = {
    ...(dice.chance(0.85) ? { dnsNames: [dice.pick(DNS_SANS), ...dice.some(DNS_SANS, 0.1)] } : {}),
    ...(dice.chance(0.25) ? { ipAddresses: [dice.pick(ADDRESSES)] } : {}),
    ...(dice.chance(0.2) ? { emails: [dice.pick(MAILBOXES)] } : {}),
    ...(dice.chance(0.15) ? { uris: [dice.pick(URIS)] } : {}),
  };
  const hasNames = Object.keys(names).length > 0;
  return {
    subject: hasNames && dice.chance(0.03) ? '' : dice.pick(LEAF_SUBJECTS),
    ...names,
    keyFrom: dice.chance(0.04) ? dice.pick(keys.weak) : keys.leaf,
    issuer: issuerHandle(dice, issuer, keys),
    ...validity(dice, 0.03),
    ...(dice.chance(0.02) ? { ca: true } : {}),
    ...(dice.chance(0.1) ? { keyUsage: dice.pick(LEAF_KEY_USAGES) } : {}),
    ...(dice.chance(0.08) ? { extendedKeyUsage: dice.pick(LEAF_PURPOSES) } : {}),
    ...(dice.chance(0.1) ? { basicConstraints: false } : {}),
    keyIdentifiers: dice.chance(0.85),
    ...(dice.chance(0.02) ? { signatureHash: 'SHA-1' as const } : {}),
    serialHex: serial(dice),
    extensions,
  };
}

/** Usually the issuer; now and then somebody else who uses its name and key identifier. */
function issuerHandle(dice: Dice, issuer: Entity, keys: KeyRing): Issued {
  return dice.chance(0.01) ? { ...issuer.handle, keys: dice.pick(keys.cas).keys } : issuer.handle;
}

async function make(dice: Dice, request: IssueRequest): Promise<Made> {
  const isTampered = request.issuer !== undefined && dice.chance(0.015);
  const { der } = await issue(request);
  const bytes = Buffer.from(der);
  if (isTampered) bytes[bytes.length - 1]! ^= 1;
  return { request, isTampered, der: bytes };
}

function validity(dice: Dice, wrong: number): Pick<IssueRequest, 'notBefore' | 'notAfter'> {
  const from = AT_MS - (1 + dice.below(300)) * DAY_MS;
  const until = AT_MS + (1 + dice.below(300)) * DAY_MS;
  if (dice.chance(wrong)) return { notBefore: new Date(from - 400 * DAY_MS), notAfter: new Date(from) };
  if (dice.chance(wrong / 2)) return { notBefore: new Date(until), notAfter: new Date(until + 400 * DAY_MS) };
  return { notBefore: new Date(from), notAfter: new Date(until) };
}

function serial(dice: Dice): string {
  if (dice.chance(0.01)) return '00';
  if (dice.chance(0.01)) return '7f'.repeat(21);
  return `40${dice
    .below(2 ** 32)
    .toString(16)
    .padStart(8, '0')}${dice
    .below(2 ** 32)
    .toString(16)
    .padStart(8, '0')}`;
}

/** Written here, byte by byte: directory names are not among what `issue()` takes. */
function nameConstraints(dice: Dice): {
  readonly oid: string;
  readonly critical: boolean;
  readonly valueDer: Uint8Array;
} {
  const isNarrow = dice.chance(0.06);
  const permitted = dice.chance(0.6) ? subtrees(dice, PERMITTED, isNarrow ? 11 : 1 + dice.below(3)) : [];
  const excluded = permitted.length === 0 || dice.chance(0.3) ? subtrees(dice, EXCLUDED, 1 + dice.below(2)) : [];
  const value = tlv(
    0x30,
    ...(permitted.length === 0 ? [] : [tlv(0xa0, ...permitted)]),
    ...(excluded.length === 0 ? [] : [tlv(0xa1, ...excluded)]),
  );
  return { oid: '2.5.29.30', critical: dice.chance(0.8), valueDer: value };
}

/** Bases of one or two kinds, because every kind narrows. */
function subtrees(dice: Dice, pool: Readonly<Record<string, readonly Buffer[]>>, count: number): Buffer[] {
  const kinds = dice.some(Object.keys(pool), 0.35);
  const bases = (kinds.length === 0 ? ['dns'] : kinds).flatMap((kind) => pool[kind]!);
  return Array.from({ length: count }, () => tlv(0x30, dice.pick(bases)));
}

export const AT_MS = Date.parse('2026-06-15T12:00:00Z');
const SEED = 20_261_121;
const LEAVES = 8;
const SITUATIONS = 5;
const DAY_MS = 86_400_000;
const NULL_DER = Uint8Array.of(5, 0);
const UNKNOWN_OID = '1.3.6.1.4.1.55738.1';

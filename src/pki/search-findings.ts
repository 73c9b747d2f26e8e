import type { Certificate } from './certificate.ts';
import type { Finding } from './finding.ts';
import { LIMITS } from './limits.ts';
import type { TrustStore } from './trust-store.ts';

/** No certificate of the wanted subject is known; `tip` is where the chain ends. */
export function noIssuer(tip: Certificate, store: TrustStore, isSelfSignedLeaf: boolean): Finding {
  const trust = `trust config '${store.name}'`;
  const issuer = tip.issuer.text;
  if (isSelfSignedLeaf) {
    return {
      rule: 'trust-anchor',
      word: 'chain',
      found: 'it is self-signed, and a leaf is never its own trust anchor',
      expected: `a leaf issued by a CA of ${trust}`,
      fix: `have a CA issue it, or add it to allowlistedCertificates of ${trust}`,
    };
  }
  if (tip.isSelfIssued) {
    return {
      rule: 'trust-anchor',
      word: 'chain',
      found: `the chain ends at the self-issued '${tip.subject.text}'`,
      expected: `a path to a trust anchor of ${trust}`,
      fix: `add '${tip.subject.text}' to trustAnchors if you trust it`,
    };
  }
  return {
    rule: 'trust-anchor',
    word: 'chain',
    found: `the chain ends at '${tip.subject.text}', whose issuer '${issuer}' was not sent and is not in ${trust}${store.publicRoots ? ' or among the public roots' : ''}`,
    expected: 'a path to a trust anchor',
    fix: `add '${issuer}' to trustAnchors (or to intermediateCas if it is not the root), or have the peer send it`,
  };
}

export function badSignature(issuer: Certificate): Finding {
  return {
    rule: 'signature',
    word: 'chain',
    found: `its signature does not verify with the key of '${issuer.subject.text}'`,
    expected: 'a signature by its issuer',
    fix: `provide the certificate of '${issuer.subject.text}' whose key signed it`,
  };
}

export function searchLimit(found: string, expected: string): Finding {
  const fix = 'send fewer certificates, or add the issuing CA to trustAnchors';
  return { rule: 'search-limit', word: 'searchLimit', found, expected, fix };
}

export const OWN_ANCHOR: Finding = {
  rule: 'trust-anchor',
  word: 'chain',
  found: 'it has the subject and key of its own issuer',
  expected: 'a leaf issued by a CA; a certificate is never its own trust anchor',
  fix: 'have a CA issue it, or add it to allowlistedCertificates',
};

export const TOO_MANY_OF_ONE_ENTITY: Finding = {
  rule: 'same-entity-limit',
  word: 'pkiTooLarge',
  found: `more than ${LIMITS.sameEntityIntermediates} intermediates have this subject and key`,
  expected: `at most ${LIMITS.sameEntityIntermediates}, sent and in the trust config together`,
  fix: 'send or configure fewer cross-certificates',
};

export const NO_REASON: Finding = {
  rule: 'trust-anchor',
  word: 'chain',
  found: 'no path to a trust anchor was found',
  expected: 'a path to a trust anchor',
  fix: 'add its CA to trustAnchors',
};

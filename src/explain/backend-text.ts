import type { Verdict } from '../pki/verdict.ts';
import type { BackendExplanation, Expectation } from './backend.ts';
import type { ExplainedCertificate, IssuerCandidate, RuleFailure } from './chain.ts';
import { counted, instant, table } from './text.ts';

export function backendText(explanation: BackendExplanation, nowMs: number): string {
  const { expects, presented, verdict, publicRoots, connection, failure } = explanation;
  let text = `backendServices/${explanation.service}, ${explanation.source}\n${expectationText(expects, nowMs)}`;
  if (connection !== null) text += `  connected   ${connection.protocol} ${connection.cipher}\n`;
  if (presented.length > 0) text += '\npresented, leaf first:\n';
  text += presented.map((certificate) => certificateText(certificate, nowMs)).join('');
  if (verdict !== null) text += `\n${verdictText(verdict, expects, nowMs)}`;
  if (failure !== null && verdict?.ok !== false)
    text += `\nthe connection fails: ${failure.statusDetails} (${failure.detail})\n`;
  if (publicRoots !== null && !expects.publicRoots) {
    text += `public roots (not asked) would say: ${publicRoots.reason}\n`;
  }
  return text;
}

function expectationText(expects: Expectation, nowMs: number): string {
  if (expects.protocol === 'HTTP' || expects.protocol === 'H2C' || expects.protocol === 'TCP')
    return `  protocol ${expects.protocol}: no TLS, nothing is verified\n`;
  const trust = expects.isAuthenticated
    ? [
        expects.trustConfig === null
          ? 'no trust config'
          : `trustConfigs/${expects.trustConfig}: ${counted(expects.anchors, 'anchor')}, ${counted(expects.intermediates, 'intermediate')}, ${expects.allowlisted} allowlisted`,
        ...(expects.publicRoots ? ['public roots'] : []),
      ].join('; ')
    : 'not configured: any certificate is accepted';
  const names = [...expects.dnsNames.map((name) => `DNS:${name}`), ...expects.uris.map((uri) => `URI:${uri}`)];
  return table([
    ['SNI', expects.sni ?? 'none'],
    ['names', names.length === 0 ? 'any' : `one of ${names.join(', ')}`],
    ['trust', trust],
    ...revocationLines(expects.revocation, nowMs),
    [
      'shows',
      expects.clientCertificate === null ? 'no client certificate' : `certificates/${expects.clientCertificate}`,
    ],
  ]);
}

function revocationLines(revocation: Expectation['revocation'], nowMs: number): readonly [string, string][] {
  if (revocation === null) return [];
  return revocation.crls.map(({ issuer, number, entries, nextUpdateMs }, index) => [
    index === 0 ? 'CRLs' : '',
    `${index === 0 ? `${revocation.mode}: ` : ''}number ${number} of ${issuer}, ${entries} revoked, until ${instant(nextUpdateMs, nowMs)}`,
  ]);
}

function certificateText(certificate: ExplainedCertificate, nowMs: number): string {
  const { depth, subject, issuer, key, signature, names, passed, failed, issuers } = certificate;
  if (subject === '' && issuer === '')
    return `  ${depth}  cannot be read\n${failed.map((rule) => failureText(rule, '     ')).join('')}`;
  let text = `  ${depth}  ${subject}\n`;
  text += `     issued by ${issuer}, ${key}, ${signature}\n`;
  text += `     valid until ${instant(certificate.notAfterMs, nowMs)}\n`;
  if (names.length > 0) text += `     names ${names.join(', ')}\n`;
  if (passed.length > 0) text += `     ok: ${passed.join(', ')}\n`;
  text += failed.map((rule) => failureText(rule, '     ')).join('');
  if (issuers.length === 0) return `${text}     issuer: not sent and not in the trust config\n`;
  return text + issuers.map((candidate) => issuerText(candidate, nowMs)).join('');
}

function issuerText({ subject, from, notAfterMs, failed }: IssuerCandidate, nowMs: number): string {
  const where = `${subject} (${SOURCES[from]}, until ${instant(notAfterMs, nowMs)})`;
  if (failed.length === 0) return `     issuer: ${where}\n`;
  return `     issuer, but not usable: ${where}\n${failed.map((rule) => failureText(rule, '       ')).join('')}`;
}

function failureText({ rule, found, expected, fix }: RuleFailure, indent: string): string {
  return `${indent}FAILS ${rule}: ${found}, expected ${expected}; ${fix}\n`;
}

function verdictText(verdict: Verdict, expects: Expectation, nowMs: number): string {
  if (!verdict.ok) {
    return `refused: ${verdict.statusDetails} (rule ${verdict.rule}, depth ${verdict.depth})\n${verdict.reason}\n`;
  }
  if (verdict.by === 'unauthenticated') {
    return 'accepted, not trusted: no authentication is configured, so only names and the key usage of RSA keys are looked at\n';
  }
  if (verdict.by === 'allowlist') {
    return `trusted: the very certificate is in allowlistedCertificates of ${expects.trustConfig}; apart from the names no rule is asked\n`;
  }
  const links = verdict.path.map((link, depth) => `  ${depth}  ${link.subject} (${SOURCES[link.from]})\n`);
  return `trusted, until ${instant(verdict.notAfterMs, nowMs)}; the path:\n${links.join('')}`;
}

const SOURCES = {
  peer: 'sent',
  trustConfig: 'intermediate of the trust config',
  anchor: 'anchor of the trust config',
  publicRoots: 'public root',
} as const;

import { CODES } from '../src/base/error-codes.ts';
import type { CodeSpec } from '../src/base/errors.ts';
import { UNMET_WORDS } from './unmet-words.ts';

/** The text of docs/errors.md, from the one table of codes. */
export function errorsPage(): string {
  const specs: (readonly [string, CodeSpec])[] = Object.entries(CODES);
  const section = (title: string, intro: string, keep: (spec: CodeSpec) => boolean) => {
    const rows = specs
      .filter(([, spec]) => keep(spec))
      .map(([code, spec]) => {
        const word = spec.statusDetails === code ? `\`${code}\`` : `\`${spec.statusDetails}\` (${code})`;
        const doc = spec.unreachable === undefined ? spec.doc : `${spec.doc} Not reachable: ${spec.unreachable}`;
        return `| ${word} | ${spec.status === 0 ? '-' : spec.status} | ${spec.proxyStatus ?? '-'} | ${doc} |`;
      });
    return [
      `## ${title}`,
      '',
      intro,
      '',
      '| statusDetails | status | Proxy-Status | means |',
      '|---|---|---|---|',
      ...rows,
      '',
    ];
  };
  return [
    '# Errors',
    '',
    '<!-- Generated from src/base/error-codes.ts by `npm run errors`; a test fails when it is stale. -->',
    '',
    'Every word that `statusDetails` of the access log can have, beside `response_sent_by_backend` and `websocket_closed` for what went well, `direct_response` for a redirect and `fault_filter_abort` for an injected fault.',
    "Where several causes share one of Google's words, our own code follows in brackets: it begins the `detail` of the log line. The client sees a generic body, never the detail.",
    '',
    ...section(
      'From the client',
      'The request, or the way it was sent, was at fault.',
      (spec) => spec.source === 'client' && spec.status !== 0,
    ),
    ...section(
      'From this proxy',
      'What the configuration or the limits of the proxy decide.',
      (spec) => spec.source === 'proxy',
    ),
    ...section(
      'From the backend',
      'Connecting, TLS, verification, and the response.',
      (spec) => spec.source === 'backend',
    ),
    ...section(
      'Client certificates',
      'No response: the connection is closed during or after the handshake.',
      (spec) => spec.status === 0,
    ),
    '## Words that are not met',
    '',
    'Those that a load balancer can say by its documentation (spec 2.8), and this proxy never does.',
    '',
    '| statusDetails | because |',
    '|---|---|',
    ...Object.entries(UNMET_WORDS).map(([word, reason]) => `| \`${word}\` | ${reason} |`),
    '',
  ].join('\n');
}

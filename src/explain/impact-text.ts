import { printable } from '../pki/printable.ts';
import type { ClientGroup, ImpactExplanation } from './impact.ts';
import { table } from './text.ts';

export function impactText(impact: ImpactExplanation): string {
  const { counted, basis } = impact;
  const from = impact.from === null ? 'no SSL policy' : `sslPolicies/${impact.from}`;
  let text = `${impact.collection}/${impact.proxy}: from ${from} to sslPolicies/${impact.to}\n`;
  if (counted === 0) return `${text}the log has no request and no handshake of this proxy: nothing can be said\n`;
  text += `counted: ${counted} ${basis === 'handshakes' ? 'logged handshakes' : 'requests'}\n`;
  text += table([
    ['connect as before', shareText(impact.connect, counted)],
    ['would no longer connect', shareText(impact.lost, counted)],
    ['cannot be told', shareText(impact.unknown, counted)],
  ]);
  text += groupsText('would no longer connect', impact.lostClients);
  text += groupsText('cannot be told', impact.unknownClients);
  text += groupsText('fail today and would connect', impact.gainedClients);
  const { today, afterwards, unknown } = impact.postQuantum;
  text += `\npost-quantum key exchange: ${shareText(today, counted)} today, ${shareText(afterwards, counted)} then`;
  text += unknown === 0 ? '\n' : `; not known for ${shareText(unknown, counted)}\n`;
  text += `\n${basis === 'handshakes' ? OF_HANDSHAKES : OF_REQUESTS}`;
  if (impact.unreadableLines > 0) text += `${impact.unreadableLines} lines of the file could not be read\n`;
  return text;
}

function groupsText(title: string, groups: readonly ClientGroup[]): string {
  if (groups.length === 0) return '';
  let text = `\n${title}:\n`;
  for (const group of groups.slice(0, MAX_GROUPS)) {
    const preset = group.preset === null ? '' : ` (like ${group.preset})`;
    text += `  ${group.count} from ${printable(group.networks.join(', '))}: JA4 ${printable(group.ja4) || 'unknown'}${preset}\n`;
    text += `     ${group.reason}: ${printable(group.detail)}\n`;
    text += group.userAgents.map((userAgent) => `     '${printable(userAgent)}'\n`).join('');
  }
  return groups.length > MAX_GROUPS ? `${text}  and ${groups.length - MAX_GROUPS} more (--json has them)\n` : text;
}

function shareText(count: number, counted: number): string {
  return `${count} (${((count / counted) * 100).toFixed(1)} %)`;
}

const MAX_GROUPS = 20;
const OF_HANDSHAKES =
  'Predicted from what each client offered. Handshakes that were not sampled (accessLog.handshakeSampleRate) are not in it.\n';
const OF_REQUESTS =
  'The log has no successful handshakes, so this counts requests, not connections, and knows what was negotiated, not what else was\n' +
  'offered: set accessLog.handshakeSampleRate for a while for an exact answer.\n';

/**
 * Runs in the browser. Everything shown is set as text, never as markup: server names and details are strangers' words.
 * Rates are differences between two reads of /metrics.
 */
export const PAGE_SCRIPT = `'use strict';
const POLL_MS = 2000;
const byId = (id) => document.getElementById(id);
let previous = null;

async function read(path) {
  const response = await fetch(path, { cache: 'no-store' });
  if (!response.ok && path !== '/readyz') throw new Error(path + ' answered ' + response.status);
  return path === '/metrics' ? response.text() : response.json();
}

/** The sum of all series of a metric whose labels contain every given text. */
function sum(metrics, name, ...labels) {
  let total = 0;
  for (const line of metrics.split('\\n')) {
    if (!line.startsWith(name + '{') && !line.startsWith(name + ' ')) continue;
    if (labels.every((label) => line.includes(label))) total += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return total;
}

function show(id, text, className) {
  const element = byId(id);
  element.textContent = text;
  element.className = className || '';
}

function rows(id, items, cells) {
  byId(id).replaceChildren(...items.map((item) => {
    const row = document.createElement('tr');
    for (const cell of cells(item)) {
      const td = document.createElement('td');
      const [text, className] = Array.isArray(cell) ? cell : [cell, ''];
      td.textContent = text;
      td.className = className;
      row.append(td);
    }
    return row;
  }));
}

function showRates(metrics) {
  const now = {
    at: performance.now(),
    requests: sum(metrics, 'sallyport_requests_total'),
    errors: sum(metrics, 'sallyport_requests_total', 'code="5'),
    handshakes: sum(metrics, 'sallyport_handshakes_total'),
    failures: sum(metrics, 'sallyport_handshakes_total', 'result="failure"'),
  };
  show('in-flight', String(sum(metrics, 'sallyport_requests_in_flight')));
  if (previous !== null) {
    const seconds = (now.at - previous.at) / 1000;
    const rate = (name) => Math.max(0, (now[name] - previous[name]) / seconds).toFixed(1);
    show('request-rate', rate('requests'));
    show('error-rate', rate('errors'), now.errors > previous.errors ? 'bad' : '');
    show('handshake-rate', rate('handshakes'));
    show('failure-rate', rate('failures'), now.failures > previous.failures ? 'warn' : '');
  }
  previous = now;
}

function showCertificate(certificate) {
  const days = Math.floor((Date.parse(certificate.notAfter) - Date.now()) / 86400000);
  const className = days < 14 ? 'bad' : days < 28 ? 'warn' : 'good';
  const key = certificate.keyType === 'RSA' ? 'RSA ' + certificate.keyBits : certificate.keyType;
  return [certificate.name, certificate.role, key, certificate.hostNames.join(', '), certificate.notAfter,
    [days < 0 ? 'expired' : String(days), className], [certificate.warnings.join('; '), 'warn']];
}

function showBackend(backend) {
  const isDown = backend.health.some((endpoint) => !endpoint.isHealthy);
  const endpoints = backend.endpoints.map((name) => {
    const known = backend.health.find((endpoint) => endpoint.endpoint === name);
    const share = backend.balance.endpoints.find((endpoint) => endpoint.endpoint === name);
    const states = [];
    if (known !== undefined) states.push(known.isHealthy ? 'healthy' : 'unhealthy: ' + known.reason);
    if (share !== undefined && share.isEjected) states.push('ejected');
    if (share !== undefined && share.weight === 0) states.push('drained');
    return name + (states.length === 0 ? '' : ' (' + states.join(', ') + ')');
  });
  const refusals = backend.refusals.map((refusal) => refusal.endpoint + ': ' + refusal.reason);
  return [backend.service, backend.protocol, [endpoints.join(', '), isDown ? 'bad' : ''],
    [refusals.join(' | '), refusals.length > 0 ? 'bad' : '']];
}

async function poll() {
  try {
    const [readiness, metrics, certificates, backends, handshakes] = await Promise.all(
      ['/readyz', '/metrics', '/certificates', '/backends', '/handshakes'].map(read));
    show('readiness', readiness.ready ? 'ready' : 'not ready: ' + readiness.reasons.join('; '), readiness.ready ? 'good' : 'bad');
    showRates(metrics);
    rows('certificate-rows', certificates, showCertificate);
    rows('backend-rows', backends, showBackend);
    rows('handshake-rows', handshakes.failures.slice(0, 50), (failure) => [failure.time, failure.reason, failure.side,
      failure.sni === null ? '' : failure.sni, failure.remoteAddress, failure.offeredVersions.join(' '), failure.detail]);
    rows('shadow-rows', handshakes.shadow, (client) => [client.sslPolicy, client.targetProxy, String(client.count),
      client.lastSeen, client.network, client.sni === null ? '' : client.sni, client.ja4, client.reason + ': ' + client.detail]);
    byId('shadow').hidden = handshakes.shadow.length === 0 && !metrics.includes('sallyport_ssl_policy_shadow_total{');
    show('problem', '');
  } catch (error) {
    show('problem', 'Cannot read: ' + error.message, 'bad');
  }
  setTimeout(poll, POLL_MS);
}
poll();
`;

import type { BackendEvents } from '#src/backend/events.ts';
import { digestOf } from '#src/base/digest.ts';
import { ProxyError } from '#src/base/errors.ts';
import type { LinkedCertificate } from '#src/config/linked.ts';
import type { FrontendEvents } from '#src/frontend/contract.ts';
import { AccessLog } from '#src/telemetry/access-log.ts';
import { BackendTelemetry } from '#src/telemetry/backend-telemetry.ts';
import { ExchangeTelemetry } from '#src/telemetry/exchange-telemetry.ts';
import { FrontendTelemetry } from '#src/telemetry/frontend-telemetry.ts';
import { HandshakeLog } from '#src/telemetry/handshake-log.ts';
import { createLog } from '#src/telemetry/log.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { RecentFailures } from '#src/telemetry/recent-failures.ts';
import { ShadowClients } from '#src/telemetry/shadow-clients.ts';
import { connectionFacts, exchange, exchangeRecord, handshakeFailure, Lines, StillClock, tlsFacts } from './support.ts';

/** `name{labels} value` lines without comments, labels in the order of their names. */
async function series(metrics: Metrics, prefix: string): Promise<Record<string, number>> {
  const lines = (await metrics.exposition()).split('\n').filter((line) => line.startsWith(prefix));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(prefix.length, at), Number(line.slice(at + 1))];
    }),
  );
}

describe('request metrics', () => {
  test('count what a request was, in the documented names and labels', async () => {
    const metrics = new Metrics('1');
    const recorder = new ExchangeTelemetry(
      new AccessLog(new Lines(), { clock: new StillClock(), sampleRate: 1 }),
      metrics.requests,
      null,
    );
    recorder.started(exchange());
    expect(await series(metrics, 'sallyport_requests_in_flight')).toEqual({ '{proxy="web"}': 1 });
    recorder.finished(exchangeRecord({ attempts: 3 }));
    expect(await series(metrics, 'sallyport_requests_in_flight')).toEqual({ '{proxy="web"}': 0 });
    expect(await series(metrics, 'sallyport_requests_total')).toEqual({
      '{proxy="web",service="api",method="GET",code="200"}': 1,
    });
    expect(await series(metrics, 'sallyport_request_bytes_total')).toEqual({ '{proxy="web"}': 3 });
    expect(await series(metrics, 'sallyport_response_bytes_total')).toEqual({ '{proxy="web"}': 1024 });
    expect(await series(metrics, 'sallyport_status_details_total')).toEqual({
      '{proxy="web",status_details="response_sent_by_backend"}': 1,
    });
    expect(await series(metrics, 'sallyport_backend_requests_total')).toEqual({ '{service="api",code="200"}': 1 });
    expect(await series(metrics, 'sallyport_backend_retries_total')).toEqual({ '{service="api"}': 2 });
    expect(await series(metrics, 'sallyport_backend_request_duration_seconds_count')).toEqual({ '{service="api"}': 1 });
  });

  test('copies of requests are counted by what became of them', async () => {
    const metrics = new Metrics('1');
    for (const result of ['answered', 'answered', 'truncatable', 'failed', 'dropped'] as const)
      metrics.requests.mirrored('copy', result);
    expect(await series(metrics, 'sallyport_backend_mirrored_requests_total')).toEqual({
      '{service="copy",result="answered"}': 2,
      '{service="copy",result="truncatable"}': 1,
      '{service="copy",result="failed"}': 1,
      '{service="copy",result="dropped"}': 1,
    });
  });

  test('histograms are cumulative, with sum and count', async () => {
    const metrics = new Metrics('1');
    for (const latencyMs of [1, 2, 40, 60_000]) {
      metrics.requests.started(exchange());
      metrics.requests.finished(exchangeRecord({ latencyMs }));
    }
    const buckets = await series(metrics, 'sallyport_request_duration_seconds');
    const labels = 'proxy="web",service="api"';
    expect(buckets).toMatchObject({
      [`_bucket{le="0.001",${labels}}`]: 1,
      [`_bucket{le="0.0025",${labels}}`]: 2,
      [`_bucket{le="0.025",${labels}}`]: 2,
      [`_bucket{le="0.05",${labels}}`]: 3,
      [`_bucket{le="30",${labels}}`]: 3,
      [`_bucket{le="+Inf",${labels}}`]: 4,
      [`_count{${labels}}`]: 4,
    });
    expect(buckets[`_sum{${labels}}`]).toBeCloseTo(60.043);
  });

  test('a method outside the IANA registry is `other`, however many a client invents (security rule 15)', async () => {
    const metrics = new Metrics('1');
    for (let i = 0; i < 1000; i++) {
      const request = exchange({ method: `EVIL${i}` });
      metrics.requests.started(request);
      metrics.requests.finished(exchangeRecord({ exchange: request }));
    }
    metrics.requests.started(exchange({ method: 'PROPFIND' }));
    metrics.requests.finished(exchangeRecord({ exchange: exchange({ method: 'PROPFIND' }) }));
    expect(await series(metrics, 'sallyport_requests_total')).toEqual({
      '{proxy="web",service="api",method="other",code="200"}': 1000,
      '{proxy="web",service="api",method="PROPFIND",code="200"}': 1,
    });
  });

  test('a status that a backend invents is `other`; one of ours is no answer of the backend', async () => {
    const metrics = new Metrics('1');
    for (const status of [700, 799, 999]) metrics.requests.finished(exchangeRecord({ status }));
    const error = new ProxyError('backend_timeout');
    metrics.requests.finished(exchangeRecord({ status: 504, statusDetails: 'backend_timeout', error }));
    // The answer had begun when time ran out: 200 was the backend's.
    metrics.requests.finished(exchangeRecord({ status: 200, statusDetails: 'backend_timeout', error }));
    expect(await series(metrics, 'sallyport_backend_requests_total')).toEqual({
      '{service="api",code="other"}': 3,
      '{service="api",code="0"}': 1,
      '{service="api",code="200"}': 1,
    });
  });

  test('a request that was not routed has an empty service and counts for no backend', async () => {
    const metrics = new Metrics('1');
    const nowhere = { backendService: null, backend: null, attempts: 0, backendTls: null, backendLatencyMs: null };
    metrics.requests.finished(exchangeRecord({ ...nowhere, status: 404, statusDetails: 'x' }));
    expect(await series(metrics, 'sallyport_requests_total')).toEqual({
      '{proxy="web",service="",method="GET",code="404"}': 1,
    });
    expect(await series(metrics, 'sallyport_backend_requests_total')).toEqual({});
  });
});

describe('handshake metrics', () => {
  function telemetry() {
    const metrics = new Metrics('1');
    const lines = new Lines();
    const clock = new StillClock();
    const recentFailures = new RecentFailures();
    const events: FrontendEvents = new FrontendTelemetry({
      clock,
      log: createLog(lines),
      accessLog: new AccessLog(lines, { clock, sampleRate: 1 }),
      handshakeLog: new HandshakeLog(lines, clock),
      recentFailures,
      shadowClients: new ShadowClients(),
      handshakes: metrics.handshakes,
      hellos: metrics.hellos,
      requests: metrics.requests,
    });
    return { metrics, events, lines, recentFailures };
  }

  test('count what was negotiated and how the certificate covers the name, never the name', async () => {
    const { metrics, events } = telemetry();
    metrics.certificates.loaded([certificate({ name: 'pets', hostNames: ['a.example', '*.b.example'] })], 0);
    const names = ['a.example', 'x.b.example', 'x.y.b.example', 'evil"\n.example', null];
    for (const sni of names) events.onHandshake(connectionFacts(), tlsFacts({ sni }), 3);
    events.onHandshake(connectionFacts(), tlsFacts({ resumed: true, group: null, alpn: null }), 3);
    expect(await series(metrics, 'sallyport_sni_total')).toEqual({
      '{proxy="web",match="exact"}': 2,
      '{proxy="web",match="wildcard"}': 1,
      '{proxy="web",match="none"}': 2,
      '{proxy="web",match="absent"}': 1,
    });
    expect(await series(metrics, 'sallyport_tls_connections_total')).toEqual({
      '{proxy="web",version="TLSv1.3",cipher="TLS_AES_128_GCM_SHA256",group="X25519MLKEM768",alpn="h2"}': 5,
      '{proxy="web",version="TLSv1.3",cipher="TLS_AES_128_GCM_SHA256",group="",alpn=""}': 1,
    });
    expect(await series(metrics, 'sallyport_handshakes_total')).toEqual({ '{proxy="web",result="success"}': 6 });
    expect(await series(metrics, 'sallyport_handshake_duration_seconds_count')).toEqual({
      '{proxy="web",resumed="false"}': 5,
      '{proxy="web",resumed="true"}': 1,
    });
    expect(await metrics.exposition()).not.toContain('evil');
  });

  test('a failure is counted, logged and kept', async () => {
    const { metrics, events, lines, recentFailures } = telemetry();
    events.onHandshakeFailure(handshakeFailure());
    expect(await series(metrics, 'sallyport_handshakes_total')).toEqual({ '{proxy="web",result="failure"}': 1 });
    expect(await series(metrics, 'sallyport_handshake_failures_total')).toEqual({
      '{proxy="web",reason="unsupported_protocol",side="client"}': 1,
    });
    expect(lines.parsed).toEqual([expect.objectContaining({ msg: 'handshake', reason: 'unsupported_protocol' })]);
    expect(recentFailures.newestFirst()).toHaveLength(1);
  });

  test('bytes that were no request are counted and logged as one', async () => {
    const { metrics, events, lines } = telemetry();
    events.onBadRequest(connectionFacts(), new ProxyError('failed_parsing_client_headers'));
    expect(await series(metrics, 'sallyport_requests_total')).toEqual({
      '{proxy="web",service="",method="other",code="400"}': 1,
    });
    expect(lines.parsed).toEqual([
      expect.objectContaining({ msg: 'request', statusDetails: 'failed_parsing_client_headers' }),
    ]);
  });

  test('an HTTP/2 session that is ended is counted and logged with its reason', async () => {
    const { metrics, events, lines } = telemetry();
    events.onSessionEnd({ connection: connectionFacts(), reason: 'resets', detail: 'x' });
    expect(await series(metrics, 'sallyport_http2_sessions_ended_total')).toEqual({
      '{proxy="web",reason="resets"}': 1,
    });
    expect(lines.parsed).toEqual([expect.objectContaining({ msg: 'HTTP/2 session ended', reason: 'resets' })]);
  });

  test('a pause of accepting is counted and logged', async () => {
    const { metrics, events, lines } = telemetry();
    events.onAcceptPaused('EMFILE');
    expect(await series(metrics, 'sallyport_accept_pauses_total')).toEqual({ '{reason="EMFILE"}': 1 });
    expect(lines.parsed).toEqual([expect.objectContaining({ level: 'warn', reason: 'EMFILE' })]);
  });
});

describe('backend metrics', () => {
  function backendTelemetry() {
    const metrics = new Metrics('1');
    const lines = new Lines();
    const backends: BackendEvents = new BackendTelemetry(metrics.backends, createLog(lines), new StillClock());
    return { metrics, backends, lines };
  }

  test('ejections and circuit breaks are counted, ejections logged as well', async () => {
    const { metrics, backends, lines } = backendTelemetry();
    backends.onEjection('api', '10.0.0.1:80', 'consecutive-errors', 30_000);
    backends.onCircuitBreak('api', 'requests');
    backends.onCircuitBreak('api', 'requests');
    const ejected = () => series(metrics, 'sallyport_backend_endpoint_ejected');
    expect(await ejected()).toEqual({ '{service="api",endpoint="10.0.0.1:80"}': 1 });
    backends.onEjection('api', '10.0.0.1:80', null, 0);
    expect(await ejected()).toEqual({ '{service="api",endpoint="10.0.0.1:80"}': 0 });
    expect(await series(metrics, 'sallyport_backend_ejections_total')).toEqual({
      '{service="api",cause="consecutive-errors"}': 1,
    });
    expect(await series(metrics, 'sallyport_backend_circuit_breaks_total')).toEqual({
      '{service="api",limit="requests"}': 2,
    });
    expect(lines.parsed).toEqual([
      expect.objectContaining({
        level: 'warn',
        msg: 'endpoint is ejected',
        cause: 'consecutive-errors',
        forMs: 30_000,
      }),
      expect.objectContaining({ level: 'info', msg: 'endpoint is no longer ejected', backend: '10.0.0.1:80' }),
    ]);
  });

  test('policy, weights and what is in flight are read when somebody asks', async () => {
    const metrics = new Metrics('1');
    const endpoint = { endpoint: '10.0.0.1:80', weight: 0.5, inFlight: 1 };
    metrics.balance.watch(() => [
      { service: 'api', balance: { policy: 'MAGLEV', affinity: 'CLIENT_IP', endpoints: [endpoint] } },
    ]);
    expect(await series(metrics, 'sallyport_backend_service_info')).toEqual({
      '{service="api",policy="MAGLEV",affinity="CLIENT_IP"}': 1,
    });
    const labels = '{service="api",endpoint="10.0.0.1:80"}';
    expect(await series(metrics, 'sallyport_backend_endpoint_weight')).toEqual({ [labels]: 0.5 });
    endpoint.inFlight = 7;
    expect(await series(metrics, 'sallyport_backend_endpoint_in_flight')).toEqual({ [labels]: 7 });
    metrics.balance.watch(() => []);
    expect(await series(metrics, 'sallyport_backend_endpoint_in_flight')).toEqual({});
  });

  test('follow connections up and down, and name what refused a certificate', async () => {
    const metrics = new Metrics('1');
    const events: BackendEvents = metrics.backends;
    const tls = {
      protocol: 'TLSv1.3',
      cipher: 'C',
      resumed: false,
      verdict: 'verified',
      rule: null,
      depth: -1,
      reason: null,
    };
    const { onConnect, onConnectFailure, onClose } = {
      onConnect: events.onConnect.bind(events),
      onConnectFailure: events.onConnectFailure.bind(events),
      onClose: events.onClose.bind(events),
    };
    onConnect('api', { endpoint: 'e', reused: false, tls }, 1);
    onConnect('api', { endpoint: 'e', reused: false, tls: null }, 1);
    const verdict = {
      ok: false,
      statusDetails: 'server_cert_chain_invalid_eku',
      rule: 'eku',
      depth: 0,
      subject: '',
      reason: '',
    };
    onConnectFailure(
      'api',
      'e',
      new ProxyError('server_cert_chain_invalid_eku', { phase: 'verify', cause: verdict }),
      1,
    );
    onConnectFailure('api', 'e', new ProxyError('backend_connect_refused', { phase: 'connect' }), 1);
    onClose('api', 'e', 'idle');
    expect(await series(metrics, 'sallyport_backend_connections{')).toEqual({ 'service="api",state="open"}': 1 });
    expect(await series(metrics, 'sallyport_backend_handshakes_total')).toEqual({
      '{service="api",result="success"}': 1,
      '{service="api",result="failure"}': 1,
    });
    expect(await series(metrics, 'sallyport_backend_verify_failures_total')).toEqual({
      '{service="api",reason="server_cert_chain_invalid_eku"}': 1,
    });
    expect(await series(metrics, 'sallyport_backend_connections_retired_total')).toEqual({
      '{service="api",cause="idle"}': 1,
    });
  });
});

describe('certificate metrics', () => {
  test('show the loaded certificates, forget the unloaded, and remember since when', async () => {
    const metrics = new Metrics('1');
    const kept = certificate({ name: 'kept', digest: digestOf('a'), notAfterMs: 5000, fileModifiedMs: 1000 });
    metrics.certificates.loaded([kept, certificate({ name: 'gone', digest: digestOf('b') })], 10_000);
    metrics.certificates.loaded([kept, certificate({ name: 'new', digest: digestOf('c'), role: 'client' })], 20_000);
    expect(await series(metrics, 'sallyport_certificate_loaded_timestamp_seconds')).toEqual({
      '{name="kept",role="server"}': 10,
      '{name="new",role="client"}': 20,
    });
    expect(await series(metrics, 'sallyport_certificate_not_after_timestamp_seconds')).toMatchObject({
      '{name="kept",role="server"}': 5,
    });
    expect(await series(metrics, 'sallyport_certificate_file_modified_timestamp_seconds')).toEqual({
      '{name="kept",role="server"}': 1,
    });
    expect(Object.keys(await series(metrics, 'sallyport_certificate_info'))).toEqual([
      '{name="kept",role="server",subject="CN=x",key_type="P-256",serial="01",sha256="ab"}',
      '{name="new",role="client",subject="CN=x",key_type="P-256",serial="01",sha256="ab"}',
    ]);
  });

  test('a file that is touched is loaded anew, also where it says the same', async () => {
    const metrics = new Metrics('1');
    metrics.certificates.loaded([certificate({ fileModifiedMs: 5000 })], 10_000);
    metrics.certificates.fileModified({ name: 'x', role: 'server' }, 15_000);
    expect(await series(metrics, 'sallyport_certificate_file_modified_timestamp_seconds')).toEqual({
      '{name="x",role="server"}': 15,
    });
    metrics.certificates.loaded([certificate({ fileModifiedMs: 15_000 })], 20_000);
    expect(await series(metrics, 'sallyport_certificate_loaded_timestamp_seconds')).toEqual({
      '{name="x",role="server"}': 20,
    });
  });
});

describe('CRL metrics', () => {
  test('show the list of each trust config that expires first, and forget what is not loaded any more', async () => {
    const metrics = new Metrics('1');
    metrics.crls.loaded([{ name: 'gone', revocation: { crls: [{ nextUpdateMs: 1000 }] } }]);
    metrics.crls.loaded([
      { name: 'a', revocation: { crls: [{ nextUpdateMs: 9000 }, { nextUpdateMs: 7000 }] } },
      { name: 'unchecked', revocation: null },
    ]);
    expect(await series(metrics, 'sallyport_crl_next_update_timestamp_seconds')).toEqual({ '{name="a"}': 7 });
  });
});

describe('process metrics', () => {
  test('tell build, reloads and drain, and what the logs lost', async () => {
    const metrics = new Metrics('1.2.3');
    metrics.watchWriters([{ droppedLines: 3 }, { droppedLines: 4 }]);
    metrics.process.configurationLoaded(5000);
    metrics.process.reloaded('failure', 6000);
    const { node, openssl } = process.versions;
    expect(await series(metrics, 'sallyport_build_info')).toEqual({
      [`{version="1.2.3",node="${node}",openssl="${openssl}"}`]: 1,
    });
    expect(await series(metrics, 'sallyport_config_')).toEqual({
      'reloads_total{result="success"}': 0,
      'reloads_total{result="failure"}': 1,
      last_reload_successful: 0,
      last_reload_success_timestamp_seconds: 5,
    });
    metrics.process.reloaded('success', 7000);
    metrics.process.drainStarted();
    expect(await series(metrics, 'sallyport_config_last_reload')).toEqual({
      _successful: 1,
      _success_timestamp_seconds: 7,
    });
    expect(await series(metrics, 'sallyport_draining')).toEqual({ '': 1 });
    expect(await series(metrics, 'sallyport_log_lines_dropped_total')).toEqual({ '': 7 });
  });

  test('have prom-client’s defaults, but no gauge that is named as a counter', async () => {
    const text = await new Metrics('1').exposition();
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect(text.match(/^# TYPE \S+_total gauge$/gm)).toBeNull();
  });

  test('every metric of ours has the prefix and a help text', async () => {
    const text = await new Metrics('1').exposition();
    const names = [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name, help]) => ({ name: name!, help: help! }));
    const foreign = names.filter(({ name }) => !/^(sallyport|process|nodejs)_/.test(name));
    expect(foreign).toEqual([]);
    expect(names.filter(({ help }) => help === '')).toEqual([]);
  });
});

function certificate(facts: Partial<LinkedCertificate>): LinkedCertificate {
  return {
    name: 'x',
    collection: 'sslCertificates',
    role: 'server',
    digest: digestOf('d'),
    certificatePem: '',
    privateKeyPem: '',
    keyType: 'P-256',
    keyBits: 256,
    hostNames: [],
    notBeforeMs: 0,
    notAfterMs: 0,
    subject: 'CN=x',
    serial: '01',
    sha256: 'ab',
    file: null,
    privateKeyFile: null,
    fileModifiedMs: null,
    ...facts,
  };
}

import { createSecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { hostPort } from '../base/host-port.ts';
import type { LinkedHealthCheck } from '../config/linked.ts';
import { backendContextOptions } from '../tls/backend-context-options.ts';
import type { BackendIdentity } from './connect.ts';
import type { BackendProtocol, Endpoint } from './contract.ts';
import { type ProbeTarget, startProbe } from './health-probe.ts';

export interface HealthCheckOptions {
  readonly check: LinkedHealthCheck;
  readonly endpoint: Endpoint;
  /** Of the service. */
  readonly protocol: BackendProtocol;
  /** Of the traffic; null for protocols HTTP and H2C. */
  readonly identity: BackendIdentity | null;
  readonly clock: Clock;
  /** At the start, at each change, and with null at the end. */
  readonly onHealth: (isHealthy: boolean | null, reason: string) => void;
  /** What an older check of the same endpoint knew: a new identity is no reason to send requests to what is down. */
  readonly known: HealthCheck | null;
}

/**
 * Probes one endpoint from start() to stop(). It counts as healthy until `unhealthyThreshold` probes in a row have failed, from the
 * very first on: a proxy that has just started must not refuse what it has not looked at.
 */
export class HealthCheck {
  isHealthy: boolean;
  isProbed: boolean;
  /** Of the last probe; '' when it went well. */
  reason: string;
  readonly digest: string;
  readonly #target: ProbeTarget;
  readonly #onHealth: HealthCheckOptions['onHealth'];
  /** Probes in a row that say the opposite of `isHealthy`. */
  #contrary = 0;
  #timer: Deadline | null = null;
  #cancelProbe: (() => void) | null = null;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor({ check, endpoint, protocol, identity, clock, onHealth, known }: HealthCheckOptions) {
    this.isHealthy = known?.isHealthy ?? true;
    this.isProbed = known?.isProbed ?? false;
    this.reason = known?.reason ?? '';
    this.digest = check.digest;
    this.#onHealth = onHealth;
    this.#target = {
      check,
      endpoint: probeEndpoint(check, endpoint),
      identity: probeIdentity(check, endpoint, protocol, identity),
      clock,
    };
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    this.#onHealth(this.isHealthy, this.reason);
    // Spread, so that many endpoints are not all probed in the same moment for ever.
    this.#probeIn(Math.random() * Math.min(FIRST_PROBE_WITHIN_MS, this.#target.check.checkIntervalSec * 1000));
  }

  /** `isFinal`: nobody else reports this endpoint's health from now on. */
  stop(isFinal: boolean): void {
    const wasRunning = this.#state === 'running';
    this.#state = 'stopped';
    this.#timer?.cancel();
    this.#cancelProbe?.();
    if (wasRunning && isFinal) this.#onHealth(null, '');
  }

  #probeIn(delayMs: number): void {
    this.#timer = startDeadline(delayMs, () => {
      const startedMs = this.#target.clock.monotonicMs();
      this.#cancelProbe = startProbe(this.#target, (failure) => {
        this.#take(failure);
        const { check, clock } = this.#target;
        this.#probeIn(Math.max(0, check.checkIntervalSec * 1000 - (clock.monotonicMs() - startedMs)));
      });
    });
  }

  #take(failure: string | null): void {
    this.isProbed = true;
    this.reason = failure ?? '';
    if ((failure === null) === this.isHealthy) {
      this.#contrary = 0;
      return;
    }
    this.#contrary++;
    const { healthyThreshold, unhealthyThreshold } = this.#target.check;
    if (this.#contrary < (this.isHealthy ? unhealthyThreshold : healthyThreshold)) return;
    this.#contrary = 0;
    this.isHealthy = !this.isHealthy;
    this.#onHealth(this.isHealthy, this.reason);
  }
}

function probeEndpoint(check: LinkedHealthCheck, { address, port, host }: Endpoint): Endpoint {
  const probed = check.port ?? port;
  return {
    name: hostPort(address, probed),
    address,
    port: probed,
    ...(host !== undefined && { host }),
  };
}

/** The identity of the traffic tells what the traffic would meet; on another port somebody else may answer (spec 10.25). */
function probeIdentity(
  check: LinkedHealthCheck,
  endpoint: Endpoint,
  protocol: BackendProtocol,
  identity: BackendIdentity | null,
): BackendIdentity | null {
  if (!TLS_TYPES.has(check.type)) return null;
  const isServingPort = check.port === null || check.port === endpoint.port;
  // A port that serves HTTP/2 without TLS has no other HTTP/2 to ask.
  if (check.type === 'HTTP2' && protocol === 'H2C' && isServingPort) return null;
  if (identity !== null && check.tlsAuthentication && isServingPort) return identity;
  return {
    digest: 'probe',
    servername: null,
    secureContext: createSecureContext(backendContextOptions({ minVersion: 'TLSv1.2', clientCertificate: null })),
    reportOnly: false,
    judge: () => ({ ok: true, by: 'unauthenticated', path: [], notAfterMs: Number.POSITIVE_INFINITY }),
    crls: '',
    useRevocation: () => false,
  };
}

const TLS_TYPES: ReadonlySet<string> = new Set(['SSL', 'HTTPS', 'HTTP2', 'GRPC_WITH_TLS']);
const FIRST_PROBE_WITHIN_MS = 1000;

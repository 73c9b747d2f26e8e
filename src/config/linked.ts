import type { Digest } from '../base/digest.ts';
import type { CustomHeader } from '../http/header-template.ts';
import type { Revocation } from '../pki/revocation.ts';
import type { AdminToken } from './admin-token.ts';
import type { CidrBlock } from './cidr.ts';
import type { GeoipDatabase } from './geoip-database.ts';
import type { LinkedUrlMap } from './linked-url-map.ts';
import type { TicketSecrets } from './ticket-secrets.ts';

/**
 * The configuration after validation: references resolved, defaults filled, files read, digests taken over all of it.
 * Deep-frozen. Only src/config makes one; nobody downstream validates again.
 */
export interface LinkedConfiguration {
  readonly digest: Digest;
  readonly listeners: readonly LinkedListener[];
  readonly backendServices: readonly LinkedBackendService[];
  /** All of them, attached or not. */
  readonly urlMaps: readonly LinkedUrlMap[];
  readonly certificates: readonly LinkedCertificate[];
  /** All of them, attached or not. */
  readonly trustConfigs: readonly LinkedTrustConfig[];
  /** All of them, attached or not. */
  readonly sslPolicies: readonly LinkedSslPolicy[];
  readonly settings: SallyportSettings;
  /** What ticket keys are derived from. Secret: never logged, never in `redacted`. */
  readonly ticketSecrets: TicketSecrets;
  readonly adminToken: AdminToken;
  /** null: places of clients are not known. */
  readonly geoip: GeoipDatabase | null;
  /** What is wrong with a certificate without being an error, by 'collection/name'. */
  readonly certificateWarnings: Readonly<Record<string, readonly string[]>>;
  /** Every file that was read, absolute, and the folder if one was given (a new file in it counts): what a reload watches. */
  readonly files: readonly string[];
  /** The configuration as the admin's /config shows it: private keys, passphrases and expanded variables never in it. */
  readonly redacted: unknown;
}

/** One forwarding rule with the proxy behind it. */
export interface LinkedListener {
  readonly forwardingRule: string;
  readonly address: string;
  readonly port: number;
  readonly proxy: LinkedProxy;
  /** CIDR blocks whose connections begin with a PROXY protocol header, others being closed; null: nobody sends one. */
  readonly trustedSources: readonly CidrBlock[] | null;
}

export type LinkedProxy = LinkedHttpsProxy | LinkedHttpProxy | LinkedSslProxy | LinkedTcpProxy;

/** Those that end TLS. */
export type LinkedTlsProxy = LinkedHttpsProxy | LinkedSslProxy;

/** Those that carry bytes as they come. */
export type LinkedStreamProxy = LinkedSslProxy | LinkedTcpProxy;

export interface LinkedHttpsProxy extends LinkedTermination {
  readonly kind: 'targetHttpsProxies';
  readonly name: string;
  readonly digest: Digest;
  readonly urlMap: LinkedUrlMap;
  readonly httpKeepAliveTimeoutSec: number;
}

/** TLS of a target proxy. */
export interface LinkedTermination {
  /** 1..15, the first is the default; with a map, all that are in it. */
  readonly certificates: readonly LinkedCertificate[];
  /** Wins over a list (spec 5.2). */
  readonly certificateMap: LinkedCertificateMap | null;
  /** null: no policy attached (COMPATIBLE with TLS 1.0). */
  readonly sslPolicy: LinkedSslPolicy | null;
  /** Sallyport's own: evaluated on every hello, never enforced. At most 4. */
  readonly shadowSslPolicies: readonly LinkedSslPolicy[];
  /** null: clients are not asked for certificates. */
  readonly serverTlsPolicy: LinkedServerTlsPolicy | null;
}

export interface LinkedSslProxy extends LinkedTermination {
  readonly kind: 'targetSslProxies';
  readonly name: string;
  readonly digest: Digest;
  /** Name of a backend service of protocol TCP or SSL. */
  readonly service: string;
  readonly proxyHeader: 'NONE' | 'PROXY_V1' | 'PROXY_V2';
}

export interface LinkedTcpProxy {
  readonly kind: 'targetTcpProxies';
  readonly name: string;
  readonly digest: Digest;
  readonly service: string;
  readonly proxyHeader: 'NONE' | 'PROXY_V1' | 'PROXY_V2';
}

/** Plaintext. */
export interface LinkedHttpProxy {
  readonly kind: 'targetHttpProxies';
  readonly name: string;
  readonly digest: Digest;
  readonly urlMap: LinkedUrlMap;
  readonly httpKeepAliveTimeoutSec: number;
}

export type SslProfile = 'COMPATIBLE' | 'MODERN' | 'RESTRICTED' | 'CUSTOM' | 'FIPS_202205';
export type MinTlsVersion = 'TLS_1_0' | 'TLS_1_1' | 'TLS_1_2' | 'TLS_1_3';

export interface LinkedSslPolicy {
  readonly name: string;
  readonly profile: SslProfile;
  readonly minTlsVersion: MinTlsVersion;
  readonly customFeatures: readonly string[];
  readonly postQuantumKeyExchange: 'DEFAULT' | 'ENABLED' | 'DEFERRED';
}

export interface LinkedServerTlsPolicy {
  readonly name: string;
  /** Over mode and trust; a CRL is not part of it. */
  readonly digest: Digest;
  readonly clientValidationMode: 'REJECT_INVALID' | 'ALLOW_INVALID_OR_MISSING_CLIENT_CERT';
  /** null only with ALLOW_…: nothing is verified. */
  readonly trustConfig: LinkedTrustConfig | null;
}

/** A certificate with its key; pairs that do not match never get here. */
export interface LinkedCertificate {
  readonly name: string;
  readonly collection: 'sslCertificates' | 'certificates';
  /** 'server' for clients' connections, 'client' for backend mTLS (CLIENT_AUTH). */
  readonly role: 'server' | 'client';
  readonly digest: Digest;
  readonly certificatePem: string;
  /** Never logged, never in `redacted`. */
  readonly privateKeyPem: string;
  readonly keyType: 'RSA' | 'P-256' | 'P-384';
  readonly keyBits: number;
  readonly hostNames: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subject: string;
  readonly serial: string;
  readonly sha256: string;
  /** Where it came from, for /certificates and metrics; null when inline. */
  readonly file: string | null;
  readonly privateKeyFile: string | null;
  /** Of the newer of the two files. */
  readonly fileModifiedMs: number | null;
}

export interface LinkedCertificateMap {
  readonly name: string;
  /** At least one. */
  readonly entries: readonly LinkedCertificateMapEntry[];
}

export interface LinkedCertificateMapEntry {
  readonly name: string;
  /** A host name or `*.` and one, lower case; null: PRIMARY. */
  readonly hostname: string | null;
  /** 1 to 4. */
  readonly certificates: readonly LinkedCertificate[];
}

export interface LinkedBackendService {
  readonly name: string;
  /** Over everything it references, file contents included: pools, sessions and verdicts are keyed by it. */
  readonly digest: Digest;
  readonly protocol: 'HTTP' | 'HTTPS' | 'HTTP2' | 'H2C' | 'TCP' | 'SSL';
  readonly timeoutSec: number;
  readonly maxStreamDurationMs: number | null;
  /** Not part of the digest: pools do not depend on them. */
  readonly customRequestHeaders: readonly CustomHeader[];
  readonly customResponseHeaders: readonly CustomHeader[];
  readonly endpoints: readonly LinkedEndpoint[];
  /** Which addresses of names become endpoints; addresses that are written out are always used. */
  readonly ipAddressSelectionPolicy: 'IPV4_ONLY' | 'PREFER_IPV6' | 'IPV6_ONLY';
  /** null for protocols HTTP, H2C and TCP. */
  readonly tls: LinkedBackendTls | null;
  /** Defaults of circuitBreakers (spec 3.5: 1024 each), counted per endpoint. */
  readonly maxConnectionsPerEndpoint: number;
  readonly maxPendingPerEndpoint: number;
  /** null: every endpoint counts as healthy. */
  readonly healthCheck: LinkedHealthCheck | null;
  readonly balancing: LinkedBalancing;
  /** null: no endpoint is ever ejected. */
  readonly outlierDetection: LinkedOutlierDetection | null;
  /** null: only the limits per endpoint hold. */
  readonly circuitBreakers: LinkedCircuitBreakers | null;
}

export type LocalityLbPolicy = 'ROUND_ROBIN' | 'LEAST_REQUEST' | 'RANDOM' | 'RING_HASH' | 'MAGLEV';

/** How the endpoint of a request is chosen. */
export interface LinkedBalancing {
  readonly policy: LocalityLbPolicy;
  /** For RING_HASH. */
  readonly minimumRingSize: number;
  /** null: NONE. */
  readonly affinity: LinkedAffinity | null;
  /** Sallyport's own: while a smaller share of the endpoints than this is healthy, health is ignored; 0: never. */
  readonly panicThresholdPercent: number;
  /** How long exchanges go on at endpoints that a reload removes or drains; null: until they end. */
  readonly drainingTimeoutSec: number | null;
}

export type LinkedAffinity =
  | { readonly by: 'CLIENT_IP' | 'CLIENT_IP_NO_DESTINATION' | 'CLIENT_IP_PROTO' | 'CLIENT_IP_PORT_PROTO' }
  /** `header`: lower case. */
  | { readonly by: 'HEADER_FIELD'; readonly header: string }
  | {
      readonly by: 'GENERATED_COOKIE' | 'HTTP_COOKIE' | 'STRONG_COOKIE_AFFINITY';
      readonly cookie: {
        readonly name: string;
        readonly path: string /** 0: for the browser session. */;
        readonly ttlSec: number;
      };
    };

/** Spec 3.5. */
export interface LinkedOutlierDetection {
  readonly baseEjectionTimeMs: number;
  readonly intervalMs: number;
  readonly consecutiveErrors: number;
  readonly consecutiveGatewayFailure: number;
  readonly enforcingConsecutiveErrors: number;
  readonly enforcingConsecutiveGatewayFailure: number;
  readonly enforcingSuccessRate: number;
  readonly maxEjectionPercent: number;
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  /** In thousandths. */
  readonly successRateStdevFactor: number;
}

/** Spec 3.5, counted over all endpoints of the service. */
export interface LinkedCircuitBreakers {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** null: any number. */
  readonly maxRequestsPerConnection: number | null;
}

export type HealthCheckType = 'TCP' | 'SSL' | 'HTTP' | 'HTTPS' | 'HTTP2' | 'GRPC' | 'GRPC_WITH_TLS';

/** Spec 3.7. */
export interface LinkedHealthCheck {
  readonly name: string;
  readonly digest: Digest;
  readonly type: HealthCheckType;
  readonly checkIntervalSec: number;
  readonly timeoutSec: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  /** null: the port that serves. */
  readonly port: number | null;
  /** TLS probes use the identity of the traffic where they go to the serving port; false: never, any certificate will do. */
  readonly tlsAuthentication: boolean;
  /** HTTP types: Host; '' is the endpoint's address. */
  readonly host: string;
  readonly requestPath: string;
  /** TCP and SSL: sent once connected; '' sends nothing. */
  readonly request: string;
  /** TCP and SSL: how the answer must begin; HTTP types: what its first 1,024 bytes must hold; '' expects nothing. */
  readonly response: string;
  readonly grpcServiceName: string;
}

export interface LinkedEndpoint {
  /** An IP literal, or a DNS name (INTERNET_FQDN_PORT, or fqdn). */
  readonly host: string;
  readonly port: number;
  readonly isFqdn: boolean;
  /** Its share of the requests beside the other endpoints of the service; 0: drained. */
  readonly weight: number;
}

export interface LinkedBackendTls {
  /** Identity digest: trust, names, client certificate. Two services with equal digests could share sessions. */
  readonly digest: Digest;
  /** Sent as SNI; null sends none. */
  readonly sni: string | null;
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  /** null: unauthenticated (spec 10.11 and 10.12). */
  readonly authentication: LinkedAuthentication | null;
  readonly minTlsVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
}

export interface LinkedAuthentication {
  /** The backendAuthenticationConfig's name; '' where INTERNET_FQDN_PORT endpoints imply public roots (spec 2.7). */
  readonly name: string;
  readonly trustConfig: LinkedTrustConfig | null;
  /** True only when usable: wellKnownRoots PUBLIC_ROOTS, or an endpoint by name and no config, and a name to verify. */
  readonly publicRoots: boolean;
  readonly clientCertificate: LinkedCertificate | null;
  /** REPORT_ONLY: what would be refused is reported and used all the same. Part of the identity digest. */
  readonly enforcement: 'ENFORCE' | 'REPORT_ONLY';
}

export interface LinkedTrustConfig {
  readonly name: string;
  readonly digest: Digest;
  /** DER. */
  readonly anchors: readonly Uint8Array[];
  readonly intermediates: readonly Uint8Array[];
  readonly allowlist: readonly Uint8Array[];
  /** Not part of the digest: a new CRL changes nobody's identity (security rule 22). null: certificates are not checked against CRLs. */
  readonly revocation: LinkedRevocation | null;
}

/** The CRLs of a trust config, with a digest of their own. */
export interface LinkedRevocation extends Revocation {
  /** Absolute. */
  readonly file: string;
  readonly fileModifiedMs: number;
}

/** `sallyport:`, every default filled in (design: configuration.md). */
export interface SallyportSettings {
  readonly admin: {
    readonly address: string;
    readonly port: number;
    readonly hosts: readonly string[];
    readonly dangerExposeDetails: boolean;
    readonly tokenFile?: string | undefined;
    /** Absolute; instead of address and port. */
    readonly socket?: string | undefined;
  };
  readonly workers: number | 'auto';
  readonly drain: { readonly delaySec: number; readonly timeoutSec: number };
  readonly sessionTickets: {
    readonly masterKeyFile?: string | undefined;
    readonly rotationSec: number;
    readonly dangerTls12Tickets: boolean;
  };
  readonly accessLog: {
    readonly format: 'json';
    readonly destination: string;
    readonly sampleRate: number;
    /** Of successful handshakes. */
    readonly handshakeSampleRate: number;
    readonly redactQueryValues: boolean;
    /** Lower case; never a field with credentials. */
    readonly requestHeaders: readonly string[];
  };
  /** null: no spans. */
  readonly tracing: {
    readonly otlpEndpoint: string;
    readonly serviceName: string;
    readonly sampleRate: number;
    readonly followIncomingSampling: boolean;
  } | null;
  readonly limits: {
    readonly connections: number;
    readonly connectionsPerAddress: number;
    readonly unfinishedHandshakes: number;
    readonly requestsPerConnection: number;
    readonly concurrentStreams: number;
    /** Per worker; 429 beyond. */
    readonly requestsPerAddress?: { readonly perSecond: number; readonly burst?: number | undefined } | undefined;
    readonly concurrentRequestsPerAddress?: number | undefined;
    /** Slower bodies are cut (security rule 32). */
    readonly minBodyBytesPerSec: number;
    readonly minBodyRateWindowSec: number;
  };
  /** How the names of endpoints are looked up. */
  readonly dns: {
    /** `address` or `address:port`; empty: those of the system. */
    readonly servers: readonly string[];
    readonly timeoutSec: number;
    readonly minTtlSec: number;
    readonly maxTtlSec: number;
    /** Lower case. */
    readonly dangerAllowPrivateNames: readonly string[];
  };
  /** RFC 7239; the client's own is removed either way. */
  readonly forwardedHeader: 'none' | 'replace';
  readonly dangerBackendMinTlsVersion: 'TLS_1_0' | 'TLS_1_1' | 'TLS_1_2' | 'TLS_1_3' | null;
}

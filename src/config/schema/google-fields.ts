/**
 * What Google's resources have beside the fields that Sallyport acts on, in one place. Descriptive fields are accepted and mean
 * nothing here; output-only ones are what an export adds; everything that would change behaviour is refused by its name until
 * it is built. A field in none of these lists is unknown.
 */

/** Of every resource: they describe it. */
export const DESCRIPTIVE_FIELDS = ['description', 'labels', 'annotations', 'params'] as const;

/** Of single kinds: they place a resource in a network, a region or a price tier that does not exist here. */
export const PLACEMENT_FIELDS = {
  forwardingRules: [
    'loadBalancingScheme',
    'network',
    'subnetwork',
    'networkTier',
    'ipVersion',
    'region',
    'allowGlobalAccess',
    'noAutomateDnsZone',
    'serviceLabel',
    'serviceDirectoryRegistrations',
  ],
  targetHttpsProxies: ['region'],
  targetHttpProxies: ['region'],
  targetSslProxies: [],
  targetTcpProxies: ['region'],
  sslPolicies: ['region'],
  sslCertificates: ['region'],
  urlMaps: ['region'],
  // port and portName choose a port of instance groups only; usedBy and the like are output.
  backendServices: ['loadBalancingScheme', 'network', 'region', 'port', 'portName'],
  networkEndpointGroups: ['network', 'subnetwork', 'zone', 'region'],
  trustConfigs: ['location'],
  backendAuthenticationConfigs: ['location'],
  // logConfig: changes of health are always logged.
  healthChecks: ['region', 'logConfig'],
  serverTlsPolicies: ['location'],
  certificates: ['location'],
  certificateMaps: ['location'],
  certificateMapEntries: ['location'],
} as const;

/** What an export or a describe adds; Google sets them. */
export const OUTPUT_ONLY_FIELDS = [
  'kind',
  'id',
  'selfLink',
  'selfLinkWithId',
  'creationTimestamp',
  'createTime',
  'updateTime',
  'fingerprint',
  'labelFingerprint',
  'etag',
  'status',
  'warnings',
  'usedBy',
] as const;

export const OUTPUT_ONLY_FIELDS_OF_KIND = {
  forwardingRules: ['pscConnectionId', 'pscConnectionStatus', 'serviceName', 'baseForwardingRule', 'selfLinkWithId'],
  targetHttpsProxies: [],
  targetHttpProxies: [],
  targetSslProxies: [],
  targetTcpProxies: [],
  sslPolicies: ['enabledFeatures'],
  sslCertificates: ['subjectAlternativeNames', 'expireTime'],
  urlMaps: [],
  backendServices: ['generatedId', 'haPolicyStatus'],
  networkEndpointGroups: ['size'],
  trustConfigs: [],
  backendAuthenticationConfigs: [],
  healthChecks: [],
  serverTlsPolicies: [],
  certificates: ['sanDnsnames', 'expireTime', 'pemCertificateOutput'],
  certificateMaps: ['gclbTargets'],
  certificateMapEntries: ['state'],
} as const;

/** Kinds that later work adds. An empty list of one is fine. */
export const LATER_KINDS: readonly string[] = [
  'targetGrpcProxies',
  'clientTlsPolicies',
  'authorizationPolicies',
  'httpHealthChecks',
  'httpsHealthChecks',
  'instanceGroups',
  'backendBuckets',
  'securityPolicies',
  'addresses',
];

/** Fields by the object they belong to (`[]` for each item of a list), with advice where there is some. */
export const LATER_FIELDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  forwardingRules: {
    ports: 'write portRange',
    allPorts: 'write portRange',
    backendService: 'write target',
    metadataFilters: '',
    sourceIpRanges: 'filter addresses in front of the proxy',
    isMirroringCollector: '',
    ipCollection: '',
    allowPscGlobalAccess: '',
    externalManagedBackendBucketMigrationState: '',
    externalManagedBackendBucketMigrationTestingPercentage: '',
  },
  targetHttpsProxies: {
    authorizationPolicy: '',
    authentication: '',
    authorization: '',
    httpFilters: '',
    certificateManagerCertificates: 'write a certificateMap',
  },
  targetHttpProxies: { httpFilters: '' },
  targetSslProxies: { serverTlsPolicy: 'only targetHttpsProxies ask clients for certificates' },
  targetTcpProxies: {},
  sslPolicies: {},
  sslCertificates: { managed: 'write selfManaged', pkcs12File: 'write it under selfManaged' },
  'sslCertificates.selfManaged': { pkcs12: 'write pkcs12File', passphraseFile: 'write pkcs12PassphraseFile' },
  urlMaps: {
    defaultCustomErrorResponsePolicy: '',
  },
  'urlMaps.pathMatchers[]': { defaultCustomErrorResponsePolicy: '' },
  'urlMaps.pathMatchers[].pathRules[]': { customErrorResponsePolicy: '' },
  'urlMaps.pathMatchers[].routeRules[]': {
    customErrorResponsePolicy: '',
    httpFilterConfigs: '',
    httpFilterMetadata: '',
  },
  'urlMaps.pathMatchers[].routeRules[].matchRules[]': { metadataFilters: '' },
  backendServices: {
    retryPolicy: '',
    securityPolicy: '',
    edgeSecurityPolicy: '',
    securitySettings: 'write tlsSettings',
    cdnPolicy: '',
    logConfig: 'write sallyport.accessLog',
    failoverPolicy: '',
    localityLbPolicies: '',
    subsetting: '',
    connectionTrackingPolicy: '',
    serviceBindings: '',
    serviceLbPolicy: '',
    metadatas: '',
    customMetrics: '',
    haPolicy: '',
    externalManagedMigrationState: '',
    externalManagedMigrationTestingPercentage: '',
    orchestrationInfo: '',
    dynamicForwarding: '',
  },
  'backendServices.backends[]': {
    failover: '',
    preference: '',
    customMetrics: '',
    trafficDuration: '',
    maxInFlightRequests: '',
    maxInFlightRequestsPerInstance: '',
    maxInFlightRequestsPerEndpoint: '',
  },
  'backendServices.tlsSettings': { identity: '', authenticationMode: '' },
  networkEndpointGroups: {
    cloudRun: '',
    cloudFunction: '',
    appEngine: '',
    serverlessDeployment: '',
    pscTargetService: '',
    pscData: '',
    interface: '',
    endpointGroups: '',
  },
  'networkEndpointGroups.endpoints[]': {
    ipv6Address: 'write the IPv6 address as ipAddress',
    clientDestinationPort: '',
  },
  trustConfigs: { spiffeTrustStores: '' },
  backendAuthenticationConfigs: {},
  healthChecks: {
    udpHealthCheck: '',
    sourceRegions: '',
    grpcTlsHealthCheck: 'write type: GRPC_WITH_TLS and grpcHealthCheck',
  },
  serverTlsPolicies: { serverCertificate: 'list the certificates in sslCertificates of the target proxy' },
  'serverTlsPolicies.mtlsPolicy': { clientValidationCa: 'write clientValidationTrustConfig' },
  certificates: {
    managed: 'write selfManaged',
    managedIdentity: 'write selfManaged',
    pkcs12File: 'write it under selfManaged',
  },
  'certificates.selfManaged': { pkcs12: 'write pkcs12File', passphraseFile: 'write pkcs12PassphraseFile' },
  sallyport: {
    trustedProxies: 'write proxyProtocol',
  },
};

/** Values of supported fields that later work adds, or that this program will not have; `[]` as above. */
export const LATER_VALUES: Readonly<Record<string, readonly string[]>> = {
  'forwardingRules.IPProtocol': ['UDP', 'ESP', 'AH', 'SCTP', 'ICMP', 'L3_DEFAULT'],
  'sslCertificates.type': ['MANAGED'],
  'backendServices.protocol': ['UDP', 'UNSPECIFIED'],
  'backendServices.localityLbPolicy': [
    'ORIGINAL_DESTINATION',
    'WEIGHTED_MAGLEV',
    'WEIGHTED_ROUND_ROBIN',
    'WEIGHTED_GCP_RENDEZVOUS',
  ],
  'backendServices.compressionMode': ['AUTOMATIC'],
  'backendServices.backends[].balancingMode': ['CUSTOM_METRICS', 'IN_FLIGHT'],
  'networkEndpointGroups.networkEndpointType': [
    'GCE_VM_IP',
    'SERVERLESS',
    'PRIVATE_SERVICE_CONNECT',
    'GCE_VM_IP_PORTMAP',
  ],
  'certificates.scope': ['EDGE_CACHE'],
  'sallyport.accessLog.format': ['text', 'combined', 'common'],
};

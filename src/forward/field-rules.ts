// hot path: of() runs once per exchange.
import { type CustomHeader, HeaderTemplates } from '../http/header-template.ts';
import { isIdentityVariable } from '../http/header-variables.ts';
import { ALWAYS_REMOVED, RemovedFields } from '../http/removed-fields.ts';

/** What is removed from and added to the messages of one backend service. */
export interface FieldRules {
  /** Of requests. */
  readonly removed: RemovedFields;
  readonly request: HeaderTemplates | null;
  readonly response: HeaderTemplates | null;
  /** Requests get a Forwarded field (RFC 7239). */
  readonly writesForwarded: boolean;
}

export interface ServiceHeaders {
  readonly name: string;
  readonly customRequestHeaders: readonly CustomHeader[];
  readonly customResponseHeaders: readonly CustomHeader[];
}

/**
 * The field rules of all services of a configuration, compiled once. A field that any of them fills from a tls_* or client_cert_*
 * variable is removed from what clients send to all of them (security rule 18); a service's other custom headers, from its own requests.
 */
export class ServiceFieldRules {
  readonly #byService: ReadonlyMap<string, FieldRules> | null;
  readonly #withoutCredentials = new Map<string, FieldRules>();
  readonly #services: readonly ServiceHeaders[];
  readonly #identity: ReadonlySet<string>;
  readonly #others: FieldRules;
  readonly #writesForwarded: boolean;

  /** `mapHeaders`: what the URL maps add to requests. */
  constructor(services: readonly ServiceHeaders[], mapHeaders: readonly CustomHeader[] = [], writesForwarded = false) {
    this.#writesForwarded = writesForwarded;
    const identity = new Set<string>();
    for (const header of mapHeaders) if (isIdentityHeader(header)) identity.add(header.name);
    for (const { customRequestHeaders } of services) {
      for (const header of customRequestHeaders) if (isIdentityHeader(header)) identity.add(header.name);
    }
    this.#services = services;
    this.#identity = identity;
    const removed = identity.size === 0 ? ALWAYS_REMOVED : new RemovedFields(identity);
    this.#others = { removed, request: null, response: null, writesForwarded };
    const byService = new Map<string, FieldRules>();
    for (const { name, customRequestHeaders, customResponseHeaders } of services) {
      if (customRequestHeaders.length + customResponseHeaders.length === 0) continue;
      const own = customRequestHeaders.map((header) => header.name);
      byService.set(name, {
        removed: own.length === 0 ? removed : new RemovedFields([...identity, ...own]),
        request: compiled(customRequestHeaders),
        response: compiled(customResponseHeaders),
        writesForwarded: writesForwarded && !own.includes('forwarded'),
      });
    }
    this.#byService = byService.size === 0 ? null : byService;
  }

  of(service: string): FieldRules {
    return this.#byService?.get(service) ?? this.#others;
  }

  /** For copies of requests (security rule 37): neither what the client proves itself with, nor what is known of its certificate. */
  withoutCredentials(service: string): FieldRules {
    const known = this.#withoutCredentials.get(service);
    if (known !== undefined) return known;
    const custom = this.#services.find(({ name }) => name === service)?.customRequestHeaders ?? [];
    const names = custom.map(({ name }) => name);
    const rules: FieldRules = {
      removed: new RemovedFields([...this.#identity, ...names, ...CREDENTIALS]),
      request: compiled(custom.filter((header) => !isIdentityHeader(header))),
      response: null,
      writesForwarded: this.#writesForwarded && !names.includes('forwarded'),
    };
    this.#withoutCredentials.set(service, rules);
    return rules;
  }
}

function isIdentityHeader({ parts }: CustomHeader): boolean {
  return parts.some((part) => 'variable' in part && isIdentityVariable(part.variable));
}

function compiled(headers: readonly CustomHeader[]): HeaderTemplates | null {
  return headers.length === 0 ? null : new HeaderTemplates(headers);
}

const CREDENTIALS = ['authorization', 'cookie'] as const;
export const NO_FIELD_RULES: FieldRules = {
  removed: ALWAYS_REMOVED,
  request: null,
  response: null,
  writesForwarded: false,
};

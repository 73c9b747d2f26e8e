/** Words of spec 2.8 that `statusDetails` never is, and why. Those of codes that only a defect could lead to say so in the table of codes. */
export const UNMET_WORDS: Readonly<Record<string, string>> = {
  ...because('nothing is cached', [
    'response_from_cache',
    'response_from_cache_validated',
    'byte_range_caching',
    'byte_range_caching_aborted',
    'byte_range_caching_forwarded_backend_response',
    'byte_range_caching_retrieval_abandoned',
    'byte_range_caching_retrieval_from_backend_failed_after_partial_response',
    'cache_lookup_failed_after_partial_response',
    'cache_lookup_timeout_after_partial_response',
  ]),
  ...because('there are no security policies beside `sallyport.limits`, whose word is `throttled_by_security_policy`', [
    'banned_by_security_policy',
    'denied_by_security_policy',
    'redirected_by_security_policy',
  ]),
  ...because('there is no identity-aware proxy', ['handled_by_identity_aware_proxy', 'multiple_iap_policies']),
  ...because('there are no serverless backends', ['serverless_neg_routing_failed']),
  ...because('there are no service extensions', ['service_extension_error']),
  ...because('one process decides: there is no second layer that could fail behind the first', ['retriable_error']),
  backend_early_response_with_non_error_status:
    'an early 2xx is passed on and the upload goes on (spec 10.22); a 1xx that nobody asked for is `backend_interim_response_not_supported`',
  early_data_rejected:
    'early data of TLS 1.3 is not accepted, so that no request comes in it; `Early-Data` of a balancer before us is passed on, and a 425 of the backend comes back as `response_sent_by_backend`',
  error_uncompressing_gzipped_body: 'bodies are never uncompressed',
  invalid_external_origin_endpoint:
    'an endpoint that cannot be one is refused when the configuration is loaded; a name that does not resolve is `failed_to_connect_to_backend`',
  malformed_chunked_body: 'whatever is wrong with chunks is `invalid_chunk_framing`',
  request_body_too_large: 'no backend has a maximum here; bodies are streamed, whatever their length',
  required_body_but_no_content_length:
    'a request with neither Content-Length nor Transfer-Encoding has no body (RFC 9112 section 6.3), and no method needs one',
};

function because(reason: string, words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map((word) => [word, reason]));
}

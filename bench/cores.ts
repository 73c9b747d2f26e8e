/** The proxy alone on one core; load generator and backend share the other. */
export const PROXY_CORE = '0';
export const LOAD_CORE = '1';

// hot path: once per response head of a backend.
import type { ErrorCode } from '../base/errors.ts';
import type { Exchange } from '../http/exchange.ts';

/** Why a response head is not passed on. */
export interface ResponseFault {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** `count`: how many interim responses the exchange has had, this one included. */
export function interimFault(status: number, count: number): ResponseFault | null {
  if (status < 102) return unasked(status);
  if (count <= MAX_INTERIMS) return null;
  return { code: 'backend_interim_response_not_supported', detail: `more than ${MAX_INTERIMS} interim responses` };
}

/** Of a final head. `length` as of responseContentLength(); `fieldsPass` false: a field may not be forwarded. */
export function responseFault(
  { isWebSocket, protocol }: Pick<Exchange, 'isWebSocket' | 'protocol'>,
  status: number,
  length: number,
  fieldsPass: boolean,
): ResponseFault | null {
  if (status < 200) return unasked(status);
  // RFC 8441 section 5: there it would say that the WebSocket is open
  if (status < 300 && isWebSocket && protocol === 'HTTP/2')
    return { code: 'websocket_handshake_failed', detail: `a ${status} instead of 101` };
  if (status <= 599 && length !== -2 && fieldsPass) return null;
  const what = status > 599 ? `status ${status}` : length === -2 ? 'Content-Length' : 'a field of the head';
  return { code: 'backend_response_corrupted', detail: `the response has an invalid part: ${what}` };
}

function unasked(status: number): ResponseFault {
  return { code: 'backend_interim_response_not_supported', detail: `an unasked ${status}` };
}

const MAX_INTERIMS = 16; // security rule 32: endless 103s would put off every timeout that a response head ends

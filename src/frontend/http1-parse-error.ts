import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ErrorCode } from '../base/errors.ts';
import { ProxyError } from '../base/errors.ts';
import { isToken } from '../http/field-value.ts';

/** What `clientError` of node:http brings. */
export interface ParserFailure extends Error {
  readonly code?: string;
  readonly bytesParsed?: number;
  readonly rawPacket?: Buffer;
}

/**
 * Node's parser errors in our words; null where the client is simply gone. `insideBody`: the head was fine and the body of
 * the current request is what broke.
 */
export function readParserFailure(failure: ParserFailure, insideBody: boolean): ProxyError | null {
  const word = failure.code ?? '';
  if (word === 'ERR_HTTP_REQUEST_TIMEOUT') return refusal('client_timed_out', failure, 'the head did not end in time');
  if (!word.startsWith('HPE_')) return null; // ECONNRESET, EPIPE, a TLS alert
  if (insideBody) return word === 'HPE_INVALID_EOF_STATE' ? null : refusal('invalid_chunk_framing', failure, word);
  return refusal(codeOf(word, failure), failure, word);
}

function codeOf(word: string, failure: ParserFailure): ErrorCode {
  switch (word) {
    case 'HPE_HEADER_OVERFLOW':
      return 'headers_too_long';
    case 'HPE_INVALID_VERSION':
      return 'http_version_not_supported';
    case 'HPE_INVALID_METHOD':
      return startsLikeMethod(failure) ? 'unsupported_method' : 'failed_parsing_client_headers';
    case 'HPE_INVALID_HEADER_TOKEN':
    case 'HPE_INVALID_CONTENT_LENGTH':
    case 'HPE_UNEXPECTED_CONTENT_LENGTH':
    case 'HPE_INVALID_TRANSFER_ENCODING':
      return 'invalid_request_headers';
    case 'HPE_INVALID_CHUNK_SIZE':
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'invalid_chunk_framing';
    default:
      return 'failed_parsing_client_headers';
  }
}

/** A method of RFC 9110 syntax that is not in the runtime's list, rather than bytes that are no HTTP at all. */
function startsLikeMethod(failure: ParserFailure): boolean {
  const byte = failure.rawPacket?.[failure.bytesParsed ?? 0];
  return byte !== undefined && isToken(String.fromCharCode(byte));
}

function refusal(code: ErrorCode, cause: Error, detail: string): ProxyError {
  return new ProxyError(code, { phase: 'head', detail, cause });
}

/** Answers where no exchange exists to answer through, and says that nothing more comes. */
export function writeBareResponse(socket: Duplex, status: number): void {
  const reason = STATUS_CODES[status] ?? '';
  const body = `${status} ${reason}\n`;
  socket.write(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    'latin1',
  );
  socket.end();
}

/** Messages of grpc.health.v1.Health/Check (github.com/grpc/grpc, doc/health-checking.md): one field each. */

/** A HealthCheckRequest in gRPC's length-prefixed framing; '' asks for the server as a whole. */
export function grpcHealthRequest(serviceName: string): Buffer {
  const name = Buffer.from(serviceName, 'utf8');
  // Field 1, length-delimited; the length as a varint of at most two bytes: names are capped at 1,024.
  const length = name.length < 0x80 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...length]), name]);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** What keeps an answer from meaning SERVING, or null. `grpcStatus` as in the trailers, '' when there is none. */
export function grpcHealthFailure(httpStatus: number, grpcStatus: string, body: Buffer): string | null {
  if (httpStatus !== 200) return `status ${httpStatus}, expected 200`;
  if (grpcStatus !== '0') return `grpc-status ${/^\d{1,3}$/.test(grpcStatus) ? grpcStatus : 'missing'}, expected 0`;
  if (body.length < PREFIX_BYTES || body[0] !== 0 || body.length !== PREFIX_BYTES + body.readUInt32BE(1)) {
    return 'the answer is no HealthCheckResponse';
  }
  const message = body.subarray(PREFIX_BYTES);
  // Field 1, varint; an absent one is 0.
  const serving = message.length === 0 ? 0 : message.length === 2 && message[0] === 0x08 ? message[1]! : -1;
  if (serving === SERVING) return null;
  return `serving status ${SERVING_STATUSES[serving] ?? 'unknown'}, expected SERVING`;
}

const PREFIX_BYTES = 5; // one byte of flags and four of length
const SERVING = 1;
const SERVING_STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/**
 * A ClientHello (whole TLS records) that asks for another name: its server_name extension is replaced, or taken out for null, and
 * every length and record follows. A hello without the extension stays as it is: that client does not send one.
 * Expects what HelloReader accepts.
 */
export function withServerName(records: Buffer, serverName: string | null): Buffer {
  const message = handshakeMessage(records);
  const extensionsAt = extensionsOffset(message);
  if (extensionsAt === null) return records;
  const kept: Buffer[] = [];
  let found = false;
  for (let at = extensionsAt; at < message.length; ) {
    const end = at + 4 + message.readUInt16BE(at + 2);
    if (message.readUInt16BE(at) === SERVER_NAME) {
      found = true;
      if (serverName !== null) kept.push(serverNameExtension(serverName));
    } else {
      kept.push(message.subarray(at, end));
    }
    at = end;
  }
  if (!found) return records;
  const extensions = Buffer.concat(kept);
  const head = Buffer.from(message.subarray(0, extensionsAt));
  head.writeUInt16BE(extensions.length, extensionsAt - 2);
  head.writeUIntBE(head.length + extensions.length - MESSAGE_HEADER_BYTES, 1, 3);
  return inRecords(Buffer.concat([head, extensions]), records.subarray(0, 3));
}

function serverNameExtension(serverName: string): Buffer {
  const name = Buffer.from(serverName, 'latin1');
  const extension = Buffer.alloc(9 + name.length);
  extension.writeUInt16BE(SERVER_NAME, 0);
  extension.writeUInt16BE(5 + name.length, 2);
  extension.writeUInt16BE(3 + name.length, 4);
  extension.writeUInt16BE(name.length, 7); // byte 6: host_name (0)
  name.copy(extension, 9);
  return extension;
}

/** What the records carry, put together. */
function handshakeMessage(records: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < records.length; ) {
    const end = at + RECORD_HEADER_BYTES + records.readUInt16BE(at + 3);
    parts.push(records.subarray(at + RECORD_HEADER_BYTES, end));
    at = end;
  }
  return Buffer.concat(parts);
}

/** Where the first extension starts; null: the hello ends before. */
function extensionsOffset(message: Buffer): number | null {
  let at = MESSAGE_HEADER_BYTES + 34; // version and random
  at += 1 + message[at]!;
  at += 2 + message.readUInt16BE(at);
  at += 1 + message[at]!;
  return at + 2 <= message.length ? at + 2 : null;
}

function inRecords(message: Buffer, typeAndVersion: Buffer): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += MAX_RECORD_BYTES) {
    const fragment = message.subarray(at, at + MAX_RECORD_BYTES);
    records.push(typeAndVersion, Buffer.of(fragment.length >> 8, fragment.length & 0xff), fragment);
  }
  return Buffer.concat(records);
}

const SERVER_NAME = 0;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
const MAX_RECORD_BYTES = 16_384; // RFC 8446 §5.1

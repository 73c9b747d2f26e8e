/** A header of version 2, by hand: `family` and `command` as in the bytes. */
export function binaryHeader(command: number, family: number, contents: Buffer): Buffer {
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1');
  head[12] = command;
  head[13] = family;
  head.writeUInt16BE(contents.length, 14);
  return Buffer.concat([head, contents]);
}

/** Source, destination and both ports of TCP over IPv4, and what follows them. */
export function tcp4(source: string, sourcePort: number, tlvs: Buffer = Buffer.alloc(0)): Buffer {
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(sourcePort, 0);
  ports.writeUInt16BE(443, 2);
  const addresses = Buffer.from([...source.split('.'), 203, 0, 113, 9].map(Number));
  return binaryHeader(0x21, 0x11, Buffer.concat([addresses, ports, tlvs]));
}

export function textHeader(source: string, sourcePort: number): Buffer {
  return Buffer.from(`PROXY TCP4 ${source} 203.0.113.9 ${sourcePort} 443\r\n`, 'latin1');
}

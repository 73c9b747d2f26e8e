import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { goingAwayFrame, WebSocketFrames } from '#src/http/websocket-frames.ts';

/** RFC 6455 section 5.2, by hand. */
function frame(opcode: number, length: number, masked: boolean): Buffer {
  const head = [0x80 | opcode];
  const mask = masked ? 0x80 : 0;
  if (length < 126) head.push(mask | length);
  else if (length < 65_536) head.push(mask | 126, length >> 8, length & 0xff);
  else
    head.push(
      mask | 127,
      0,
      0,
      0,
      0,
      (length >> 24) & 0xff,
      (length >> 16) & 0xff,
      (length >> 8) & 0xff,
      length & 0xff,
    );
  return Buffer.concat([Buffer.from(head), Buffer.alloc(masked ? 4 : 0, 0xaa), Buffer.alloc(length, 0x88)]);
}

test.each([0, 1, 125, 126, 65_535, 65_536])(
  'a frame of %i bytes is whole with its last byte and not before',
  (length) => {
    for (const masked of [false, true]) {
      const bytes = frame(2, length, masked);
      for (const missing of [bytes.length - 1, 3, 1].filter((count) => count < bytes.length)) {
        const frames = new WebSocketFrames();
        frames.push(bytes.subarray(0, bytes.length - missing));
        expect(frames.isAtBoundary).toBe(false);
        frames.push(bytes.subarray(bytes.length - missing));
        expect(frames.isAtBoundary).toBe(true);
      }
    }
  },
);

test('boundaries are where the frames end, however they are cut', () => {
  const written = fc.array(
    fc.record({ opcode: fc.integer({ min: 0, max: 10 }), length: fc.nat(70_000), masked: fc.boolean() }),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  fc.assert(
    fc.property(written, fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }), (list, sizes) => {
      const parts = list.map(({ opcode, length, masked }) => frame(opcode, length, masked));
      const ends = new Set<number>([0]);
      let total = 0;
      for (const part of parts) {
        total += part.length;
        ends.add(total);
      }
      const bytes = Buffer.concat(parts);
      const frames = new WebSocketFrames();
      for (let at = 0, i = 0; at < total; i++) {
        const chunk = bytes.subarray(at, at + sizes[i % sizes.length]!);
        frames.push(chunk);
        at += chunk.length;
        if (frames.isAtBoundary !== ends.has(at)) throw new Error(`at ${at} of ${total}`);
      }
      expect(frames.isAtBoundary).toBe(true);
      expect(frames.hasClose).toBe(list.some(({ opcode }) => opcode === 8));
    }),
    { numRuns: 200 },
  );
});

test('strange bytes are counted and never thrown at', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
      const frames = new WebSocketFrames();
      for (const chunk of chunks) frames.push(chunk);
    }),
  );
});

test('1001 towards a client is bare, towards a server masked', () => {
  expect([...goingAwayFrame(null)]).toEqual([0x88, 2, 0x03, 0xe9]);
  const mask = randomBytes(4);
  const masked = goingAwayFrame(mask);
  expect([...masked.subarray(0, 6)]).toEqual([0x88, 0x82, ...mask]);
  expect([masked[6]! ^ mask[0]!, masked[7]! ^ mask[1]!]).toEqual([0x03, 0xe9]);
});

// `node scripts/capture-hello.ts [port]`: prints the next ClientHello that arrives on loopback as hex, with its fingerprints; then a
// line for src/tls/presets/captured.ts can be written. Let the client ask for preset.example where it can.
import { type AddressInfo, createServer } from 'node:net';
import { HelloReader } from '../src/tls/client-hello.ts';
import { ja3 } from '../src/tls/ja3.ts';
import { ja4 } from '../src/tls/ja4.ts';

const server = createServer((socket) => {
  const reader = new HelloReader();
  socket.on('error', () => {}); // a client that gives up is no news
  socket.on('data', (chunk: Buffer) => {
    if (reader.push(chunk) === 'need-more') return;
    socket.destroy();
    if (reader.hello === null) {
      console.error(`not a ClientHello: ${reader.status} (${reader.detail}); still listening`);
      return;
    }
    server.close();
    console.error(`ja3 ${ja3(reader.hello)}  ja4 ${ja4(reader.hello)}  sni ${reader.hello.serverNameAsSent}`);
    console.log(reader.bytes.toString('hex').replaceAll(/.{110}/g, '$&\n'));
  });
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.error(`listening on 127.0.0.1:${(server.address() as AddressInfo).port}`);
});

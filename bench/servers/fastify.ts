import proxy from '@fastify/http-proxy';
import Fastify from 'fastify';
import { readSettings } from './settings.ts';

const { port, serverTls, backendTls, backendOrigin } = readSettings();
const server = Fastify({ https: serverTls });
await server.register(proxy, {
  upstream: backendOrigin,
  undici: { connections: 256, connect: backendTls, keepAliveTimeout: 600_000 },
});
await server.listen({ port, host: '127.0.0.1' });

import { Agent } from 'node:https';
import { createProxyServer } from 'http-proxy-3';
import { readSettings } from './settings.ts';

const { port, serverTls, backendTls, backendOrigin } = readSettings();
createProxyServer({
  target: backendOrigin,
  ssl: serverTls,
  agent: new Agent({ ...backendTls, keepAlive: true, maxSockets: 256 }),
  secure: true,
  xfwd: true,
}).listen(port, '127.0.0.1');

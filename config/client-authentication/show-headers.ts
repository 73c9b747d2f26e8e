import { createServer } from 'node:http';

// A backend that answers with the request head that it got: what the proxy says of the client, and nothing that the client says of itself.
createServer((request, response) => {
  const lines = [`${request.method} ${request.url}`];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
  }
  response.setHeader('content-type', 'text/plain');
  response.end(`${lines.join('\n')}\n`);
}).listen(8080, '127.0.0.1');

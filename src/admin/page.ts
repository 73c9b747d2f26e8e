/** The live page: no asset from elsewhere, no inline script or style (the content security policy forbids them). */
export const PAGE_HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sallyport</title>
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<header>
  <h1>Sallyport</h1>
  <p id="readiness" role="status">…</p>
  <p id="problem" role="alert"></p>
</header>
<main>
  <section aria-labelledby="now"><h2 id="now">Now</h2>
    <dl>
      <div><dt>Requests per second</dt><dd id="request-rate">…</dd></div>
      <div><dt>In flight</dt><dd id="in-flight">…</dd></div>
      <div><dt>5xx per second</dt><dd id="error-rate">…</dd></div>
      <div><dt>Handshakes per second</dt><dd id="handshake-rate">…</dd></div>
      <div><dt>Failed handshakes per second</dt><dd id="failure-rate">…</dd></div>
    </dl>
  </section>
  <section aria-labelledby="certificates"><h2 id="certificates">Certificates</h2>
    <table><thead><tr><th>Name</th><th>Role</th><th>Key</th><th>Host names</th><th>Ends</th><th>Days left</th><th>Warnings</th></tr></thead>
    <tbody id="certificate-rows"></tbody></table>
  </section>
  <section aria-labelledby="backends"><h2 id="backends">Backend services</h2>
    <table><thead><tr><th>Service</th><th>Protocol</th><th>Endpoints</th><th>Certificates not trusted</th></tr></thead><tbody id="backend-rows"></tbody></table>
  </section>
  <section aria-labelledby="handshakes"><h2 id="handshakes">Recent handshake failures</h2>
    <table><thead><tr><th>Time</th><th>Reason</th><th>Ended by</th><th>Server name</th><th>Client</th><th>Offered</th><th>Detail</th></tr></thead>
    <tbody id="handshake-rows"></tbody></table>
  </section>
  <section id="shadow" aria-labelledby="shadow-title" hidden><h2 id="shadow-title">Clients that a shadow policy would refuse</h2>
    <table><thead><tr><th>Policy</th><th>Proxy</th><th>Times</th><th>Last seen</th><th>Network</th><th>Server name</th><th>JA4</th><th>Reason</th></tr></thead>
    <tbody id="shadow-rows"></tbody></table>
  </section>
</main>
<footer><a href="/config">configuration</a> <a href="/certificates">certificates</a> <a href="/backends">backends</a>
<a href="/handshakes">handshakes</a> <a href="/metrics">metrics</a> <a href="/readyz">readiness</a></footer>
</body>
</html>
`;

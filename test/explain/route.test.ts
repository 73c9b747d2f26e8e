import { makeWorld, type World } from './_world.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world.folder.remove());

describe('`sallyport explain route`', () => {
  test.each([
    ['https://site.example/', 'trusted', 'site.example', null],
    ['https://site.example', 'trusted', 'site.example', null],
    ['https://SITE.example:8443/api/x', 'named', 'site.example', '/api/*'],
    ['https://site.example/api/v2', 'anyone', 'site.example', '/api/v2'],
    ['https://site.example/api/v2/x?y=/..', 'anyone', 'site.example', '/api/v2/*'],
    ['https://site.example/api', 'trusted', 'site.example', null],
    ['https://a.b.example/', 'anyone', '*.example', null],
    ['https://elsewhere.test/', 'anyone', '*', null],
  ])('sends %s to %s', async (url, service, hostRule, pathRule) => {
    const { code, answer } = await world.explainJson('route', '--proxy', 'pair', '--url', url);
    expect(code).toBe(0);
    expect(answer).toMatchObject({ ok: true, service, hostRule, pathRule, redirect: null, refusal: null });
  });

  test('names the rules that match and lose', async () => {
    const { stdout } = await world.explainInProcess(
      'route',
      '--proxy',
      'pair',
      '--url',
      'https://site.example/api/v2/x?y=1',
    );
    expect(stdout).toBe(`urlMaps/routes: site.example/api/v2/x?y=1

  1. host *.example matches site.example too, but site.example is exact
  2. host * matches site.example too, but site.example is exact
  3. host site.example wins: path matcher site
  4. the query is not looked at: /api/v2/x is matched, byte for byte
  5. path /api/* matches too, but /api/v2/* is longer
  6. path /api/v2/* wins

goes to backendServices/anyone
`);
  });

  test('shows the redirect that takes dot segments out, and where it leads', async () => {
    const { code, answer } = await world.explainJson(
      'route',
      '--proxy',
      'pair',
      '--url',
      'https://site.example/public/%2e%2e/api/x?q=1',
    );
    expect(code).toBe(0);
    expect(answer).toMatchObject({ redirect: 'https://site.example/api/x?q=1', service: 'named', pathRule: '/api/*' });
  });

  test('lets Host replace the authority', async () => {
    const { answer } = await world.explainJson(
      'route',
      '--proxy',
      'pair',
      '--url',
      'https://site.example/',
      '--header',
      'Host: deep.example',
    );
    expect(answer).toMatchObject({ authority: 'deep.example', hostRule: '*.example' });
  });

  test.each([
    [['--url', 'https://site.example/%00'], 400, 'invalid_request_headers'],
    [['--url', 'https://site.example/', '--method', 'CONNECT'], 400, 'unsupported_method'],
    [
      ['--url', 'https://site.example/', '--header', 'content-length: 1', 'transfer-encoding: chunked'],
      400,
      'invalid_request_headers',
    ],
    [['--url', 'https://user@site.example/'], 400, 'invalid_request_headers'],
  ])('exits with 1 where the head is refused: %j', async (args, status, statusDetails) => {
    const { code, answer } = await world.explainJson('route', '--proxy', 'pair', ...args);
    expect(code).toBe(1);
    expect(answer).toMatchObject({ ok: false, service: null, refusal: { status, statusDetails } });
  });

  test('says of a target SSL proxy that nothing is routed', async () => {
    const { code, stderr } = await world.explain('route', '--proxy', 'stream', '--url', 'https://site.example/');
    expect(code).toBe(1);
    expect(stderr).toContain('targetSslProxies/stream: all that comes goes to backendServices/carried\n');
  });

  test.each([
    [['--url', 'http://site.example/'], 'expected https://host'],
    [['--url', 'https://site.example/#part'], 'without a fragment'],
    [['--url', 'https://site.example/', '--header', 'no colon'], "Cannot read --header 'no colon'"],
  ])('cannot read %j', async (args, message) => {
    const { code, stderr } = await world.explain('route', '--proxy', 'pair', ...args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });
});

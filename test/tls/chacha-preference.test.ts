import { prefersChacha } from '#src/tls/chacha-preference.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { effectivePolicy } from '#src/tls/ssl-policy.ts';
import { parsedHello } from './captured-hello.ts';
import { entryFor } from './entries.ts';
import { helloBytes } from './raw-hello.ts';
import { Engine } from './server-flight.ts';

test('`prefersChacha()` skips exactly the suites that OpenSSL does not know', async () => {
  const engine = await new Engine(
    contextOptions(effectivePolicy(null, Date.now()), await entryFor('rsa', 'RSA'), null),
  ).listen();
  try {
    for (const code of probes()) {
      const bytes = helloBytes({ suites: [code, 0xcca8, 0xc02f], groups: [0x001d], schemes: [0x0804] });
      const flight = await engine.answer(bytes);
      const chacha = flight.kind === 'hello' && flight.suite === 0xcca8;
      expect([code.toString(16), prefersChacha(parsedHello(bytes))]).toEqual([code.toString(16), chacha]);
    }
  } finally {
    await engine.close();
  }
});

/** Everything that IANA ever gave out, about: four pages, and what drafts, private use and signalling values took. */
function probes(): number[] {
  const codes = [0x0a0a, 0xfefe, 0xff85, 0xd001, 0xd002, 0xd005];
  for (const page of [0x0000, 0x1300, 0xc000]) for (let low = 0; low < 0xc8; low++) codes.push(page + low);
  for (let low = 0x10; low < 0x18; low++) codes.push(0xcc00 + low);
  return codes;
}

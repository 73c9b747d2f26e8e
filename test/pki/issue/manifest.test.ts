import { ManifestError, readManifest } from '#src/pki/issue/manifest.ts';

function problemsOf(text: string): readonly string[] {
  try {
    readManifest(text, 'pki.yaml');
  } catch (error) {
    if (error instanceof ManifestError) return error.problems;
    throw error;
  }
  return [];
}

describe('readManifest()', () => {
  test('fills the defaults in and keeps the order', () => {
    const entries = readManifest(
      `certificates:
  - { name: leaf, issuer: root, subject: CN=leaf, dnsNames: [a.example], serial: "0a", extendedKeyUsage: none }
  - { name: root, subject: CN=root, ca: true, permitted: { dns: [example] }, validDays: 7 }
`,
      'pki.yaml',
    );
    expect(entries).toEqual([
      {
        name: 'leaf',
        issuer: 'root',
        keyFrom: null,
        request: { subject: 'CN=leaf', ca: false, dnsNames: ['a.example'], serialHex: '0a', extendedKeyUsage: null },
        startsInDays: 0,
        validDays: 30,
        chain: false,
        writeKey: true,
      },
      {
        name: 'root',
        issuer: null,
        keyFrom: null,
        request: { subject: 'CN=root', ca: true, permitted: { dns: ['example'] } },
        startsInDays: 0,
        validDays: 7,
        chain: false,
        writeKey: true,
      },
    ]);
  });

  test('reports every problem at once, each with its place', () => {
    expect(
      problemsOf(`certificates:
  - name: ../evil
    subject: CN=a
  - name: leaf
    issuer: nobody
    subjekt: CN=b
    keyType: rsa-512
    ca: yes
    dnsNames: a.example
    validDays: 0
    permitted: { host: [a] }
`),
    ).toEqual([
      "pki.yaml:2:11: Cannot read 'name': found '../evil', expected letters, digits, '.', '_' or '-'",
      expect.stringMatching(/^pki\.yaml:6:5: leaf: Cannot read the field 'subjekt': expected one of name, issuer, /),
      expect.stringMatching(
        /^pki\.yaml:7:14: leaf: Cannot read 'keyType': found "rsa-512", expected one of rsa-2048, /,
      ),
      'pki.yaml:8:9: leaf: Cannot read \'ca\': found "yes", expected true or false',
      'pki.yaml:9:15: leaf: Cannot read \'dnsNames\': found "a.example", expected a list',
      "pki.yaml:10:16: leaf: Cannot read 'validDays': found 0, expected a whole number from 1 to 36500",
      "pki.yaml:11:16: leaf: Cannot read 'permitted': found 'host', expected one of dns, ip, email, uri",
      "pki.yaml:4:5: leaf: Cannot issue: 'subject' is missing, for instance 'CN=…'",
      "pki.yaml:4:5: leaf: Cannot find the issuer 'nobody': no certificate has that name",
    ]);
  });

  test.each([
    ['certificates: []', "Cannot read 'certificates': expected a list of at least one certificate"],
    ['- a', "Cannot read the manifest: expected a map with 'certificates'"],
    [
      '{ certificates: [{ name: a, subject: CN=a }], more: 1 }',
      "Cannot read 'more': expected 'certificates', the only field here",
    ],
    ['certificates: [a', /./],
    ['certificates: [{ name: a, name: b, subject: CN=a }]', /unique/],
    [
      'certificates: [{ name: a, subject: CN=a }, { name: A, subject: CN=b }]',
      "Cannot use the name 'A' twice: its files would overwrite each other",
    ],
    [
      'certificates: [{ name: a, subject: CN=a, issuer: b }, { name: b, subject: CN=b }]',
      "Cannot issue from 'b': it has no 'ca: true'",
    ],
    [
      'certificates: [{ name: a, subject: CN=a, ca: true, issuer: a }]',
      "Cannot issue 'a': its issuers or keys lead back to itself",
    ],
    [
      'certificates: [{ name: a, subject: CN=a, keyFrom: c }]',
      "Cannot find the key of 'c': no certificate has that name",
    ],
  ])('refuses %s', (text, message) => {
    expect(problemsOf(text)[0]).toEqual(
      typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
    );
  });

  test('refuses a circle of issuers and keys once for each member', () => {
    const circle = `certificates:
  - { name: a, subject: CN=a, ca: true, issuer: b }
  - { name: b, subject: CN=b, ca: true, keyFrom: a }
`;
    expect(problemsOf(circle)).toHaveLength(2);
  });
});

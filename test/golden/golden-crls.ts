import type { Issued } from '#src/pki/issue/contract.ts';
import { crlPem, issueCrl } from '#src/pki/issue/crl.ts';
import type { TempFolder } from '../harness/temp-folder.ts';

/** CRLs, right and wrong: crl-both.pem, crl-issuing.der, crl-expired.der, … */
export function writeCrls(folder: TempFolder, root: Issued, issuing: Issued): void {
  const inForce = { thisUpdate: new Date(Date.UTC(2026, 10, 20)), nextUpdate: new Date(Date.UTC(2026, 10, 27)) };
  const revoked = [{ serialHex: '4711', reasonCode: 1 }];
  const ofIssuing = issueCrl({ issuer: issuing, number: 12, revoked, ...inForce });
  folder.write('crl-both.pem', crlPem(issueCrl({ issuer: root, number: 3, ...inForce })) + crlPem(ofIssuing));
  folder.write('crl-issuing.der', ofIssuing);
  folder.write('crl-cut.der', CUT_DER);
  folder.write('crl-cut.pem', crlPem(ofIssuing).replace('-----END X509 CRL-----', ''));
  const dates = (fromDay: number, untilDay: number) => ({
    thisUpdate: new Date(Date.UTC(2026, 10, fromDay)),
    nextUpdate: new Date(Date.UTC(2026, 10, untilDay)),
  });
  folder.write('crl-expired.der', issueCrl({ issuer: issuing, number: 11, ...dates(13, 20) }));
  folder.write('crl-future.der', issueCrl({ issuer: issuing, number: 13, ...dates(27, 30) }));
  const withExtension = (oid: string, value: string) =>
    issueCrl({
      issuer: issuing,
      extensions: [{ oid, critical: true, valueDer: Buffer.from(value, 'hex') }],
      ...inForce,
    });
  folder.write('crl-delta.der', withExtension('2.5.29.27', '020101'));
  folder.write('crl-indirect.der', withExtension('2.5.29.28', '30038401ff'));
  folder.write('crl-v1.der', issueCrl({ issuer: issuing, version: 1, ...inForce }));
  folder.write('crl-endless.der', issueCrl({ issuer: issuing, nextUpdate: null }));
}

/** A SEQUENCE that says 256 bytes and has one; a real CRL's length varies with its ECDSA signature, and the message tells it. */
const CUT_DER = Buffer.from([0x30, 0x82, 0x01, 0x00, 0x30]);

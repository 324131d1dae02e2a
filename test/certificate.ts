import { execFileSync, spawnSync } from 'node:child_process';

/** Reason to skip a test whose server has a certificate made for it; false if it can be made. */
export const skipWithoutOpenssl =
  spawnSync('openssl', ['version']).error === undefined
    ? false
    : 'openssl is not installed, which makes the server its certificate';

/** Files of a server's certificate and of its key, PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Writes a certificate of 127.0.0.1 that is its own authority. */
export function writeCertificate({ cert, key }: CertificateFiles): void {
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=127.0.0.1'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1'],
    ],
    { stdio: 'ignore' },
  );
}

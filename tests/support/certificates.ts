import { execFile } from 'node:child_process';
import { writeFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  /** Files in PEM. */
  readonly key: string;
  readonly certificate: string;
  /** Both in one file. */
  readonly both: string;
}

/** Makes an authority, good for a day, with OpenSSL. */
export async function makeAuthority(folder: string, name: string): Promise<Certificate> {
  const files = filesOf(folder, name);
  const subject = ['-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE'];
  await run('openssl', ['req', '-x509', ...newKey(files), '-days', '1', ...subject, '-out', files.certificate]);
  return files;
}

/** Makes a certificate of an authority: for a host, or for a client. */
export async function makeCertificate(folder: string, name: string, authority: Certificate): Promise<Certificate> {
  const files = filesOf(folder, name);
  const request = join(folder, `${name}.csr`);
  const extensions = join(folder, `${name}.ext`);
  await writeFile(extensions, `subjectAltName=DNS:${name}\n`);
  await run('openssl', ['req', ...newKey(files), '-subj', `/CN=${name}`, '-out', request]);
  const by = ['-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial'];
  const what = ['-in', request, '-out', files.certificate, '-extfile', extensions];
  await run('openssl', ['x509', '-req', '-days', '1', ...by, ...what]);
  const [key, certificate] = await Promise.all([files.key, files.certificate].map((file) => readFile(file, 'utf8')));
  await writeFile(files.both, `${key}${certificate}`);
  return files;
}

function newKey({ key }: Certificate): string[] {
  return ['-newkey', 'rsa:2048', '-noenc', '-keyout', key];
}

function filesOf(folder: string, name: string): Certificate {
  const [key, certificate, both] = ['key', 'crt', 'pem'].map((ending) => join(folder, `${name}.${ending}`));
  return { key: key ?? '', certificate: certificate ?? '', both: both ?? '' };
}

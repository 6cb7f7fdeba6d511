/** @import { SecureListener } from './broker.mjs' */

const modules = 'org.apache.kafka.common.security';

/**
 * Properties of a listener over TLS, for tests of clients: SASL with every mechanism that Millrace speaks, or with client
 * certificates where an authority for them is named. Tokens are taken unsigned.
 *
 * @param {SecureListener} secure
 * @param {number} port
 */
export function secureProperties({ certificate, users = {}, clientAuthority }, port) {
  const plain = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  const name = 'listener.name.secure';
  return {
    address: `SECURE://127.0.0.1:${port}`,
    advertised: `SECURE://localhost:${port}`,
    properties: {
      'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:${clientAuthority ? 'SSL' : 'SASL_SSL'}`,
      [`${name}.ssl.keystore.type`]: 'PEM',
      [`${name}.ssl.keystore.location`]: certificate,
      ...(clientAuthority
        ? {
            [`${name}.ssl.client.auth`]: 'required',
            [`${name}.ssl.truststore.type`]: 'PEM',
            [`${name}.ssl.truststore.location`]: clientAuthority,
          }
        : {
            [`${name}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
            [`${name}.plain.sasl.jaas.config`]: `${modules}.plain.PlainLoginModule required ${plain.join(' ')};`,
            [`${name}.scram-sha-256.sasl.jaas.config`]: `${modules}.scram.ScramLoginModule required;`,
            [`${name}.scram-sha-512.sasl.jaas.config`]: `${modules}.scram.ScramLoginModule required;`,
            [`${name}.oauthbearer.sasl.jaas.config`]: `${modules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
            [`${name}.oauthbearer.connections.max.reauth.ms`]: 3_600_000,
          }),
    },
  };
}

/**
 * The command that formats a data folder with SCRAM's passwords in it, which can't be written by hand.
 *
 * @param {SecureListener} secure
 * @param {string} config
 * @param {string} clusterId
 */
export function formatCommand({ users = {} }, config, clusterId) {
  const scram = Object.entries(users).flatMap(([name, password]) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((kind) => [
      '--add-scram',
      `${kind}=[name=${name},password=${password}]`,
    ]),
  );
  return ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', config, ...scram];
}

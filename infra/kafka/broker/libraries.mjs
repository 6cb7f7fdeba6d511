import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir, isWhole, makeBundle } from '../../setup/cache.mjs';
import { SetupError } from '../../setup/failure.mjs';
import { withLock } from '../../setup/lock.mjs';
import { run } from '../../setup/process.mjs';
import { say } from '../../setup/say.mjs';

const kafkaVersion = '4.3.1';

/** The broker, its command-line tools, and something that its log goes through. */
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${kafkaVersion}</version>
      <exclusions>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-transforms</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`;

/**
 * Kafka's jars as a Java class path, from the per-user cache; fetched through Maven when they are not there. Rejects with
 * a `SetupError` that names what is missing and the command that mends it.
 *
 * @returns {Promise<string>}
 */
export async function kafkaClassPath() {
  const cache = cacheDir();
  const name = `kafka-${kafkaVersion}`;
  const bundle = join(cache, name);
  if (!isWhole(bundle)) {
    // The lock of the set-up, which clears the scratch folders of the cache when it has it.
    await withLock(join(cache, 'lock'), async () => {
      if (!isWhole(bundle)) await makeBundle(cache, name, fetchJars);
    });
  }
  const jars = (await readdir(bundle)).filter((file) => file.endsWith('.jar')).toSorted();
  return jars.map((jar) => join(bundle, jar)).join(':');
}

/** @param {string} dir */
async function fetchJars(dir) {
  if (!(await run(['mvn', '--version'])).ok) {
    throw new SetupError('Maven, which fetches Kafka, is missing', 'apt-get install maven (or your system’s package)');
  }
  say(`fetching Kafka ${kafkaVersion} (45 MB)`);
  const project = join(dir, 'project');
  await mkdir(project);
  await writeFile(join(project, 'pom.xml'), pom);
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${dir}`];
  const { ok, output } = await run(['mvn', '-q', '-B', '-f', join(project, 'pom.xml'), ...goal]);
  if (ok) return;
  throw new SetupError(
    `Maven could not fetch Kafka ${kafkaVersion}:\n${output}`,
    'check the network and the mirror in ~/.m2/settings.xml, then run the same command again',
  );
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dataFolder, newJob } from '../../../pipelines/job/job-folder.ts';
import { graphHash } from '../../../pipelines/spec/graph.ts';
import {
  graphVersion,
  graphVersions,
  notePlace,
  readGraphOf,
  recordVersion,
} from '../../../pipelines/redeploy/graph-history.ts';
import { graphOf } from '../../support/graphs.ts';

const TEXT = `name: place
topics: { text: {} }
streams: { look: [{ uid: text, ingest: { topics: [text] } }, { uid: decode, decode: {} }] }
`;

test('a version notes where the log of its graph is by now, and stays the same version of the same graph', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-history-'));
  try {
    const job = newJob(dataFolder(folder), 'kafka');
    const here = graphOf(`${TEXT}kafka: { brokers: ["a:1"] }\n`);
    const there = graphOf(`${TEXT}kafka: { brokers: ["b:1"] }\n`);
    const { hash } = await recordVersion(job, here, { how: 'up', discard: [], plan: null, outcome: 'live' });
    await notePlace(job, 1, there);
    const noted = await graphVersion(job, 1);
    expect(readGraphOf(noted).kafka?.brokers).toEqual(['b:1']);
    expect([noted.hash, graphHash(there)]).toEqual([hash, hash]);
    await notePlace(job, 1, graphOf(TEXT));
    expect(readGraphOf(await graphVersion(job, 1)).kafka).toBeUndefined();
    expect(await graphVersions(job)).toHaveLength(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

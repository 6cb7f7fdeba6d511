import { describe, expect, it } from 'vitest';
import { avroFormat, loadAvroSchema } from '../../../infra/index.ts';
import { jsonFormat, plainFormat, textFormat } from '../../../operators/formats.ts';
import type { TopicFormat } from '../../../operators/formats.ts';
import { readCommand } from '../../../pipelines/control/control-command.ts';
import type { ControlCommand } from '../../../pipelines/control/control-command.ts';

const avro = avroFormat({ topic: 'control', field: null, schema: loadAvroSchema('millrace.Control'), registry: null });

async function read(text: string | Uint8Array, format: TopicFormat): Promise<ControlCommand> {
  const value = Buffer.from(text);
  return readCommand(await format.read(value), format, value);
}

const anybody = { job: null, id: null };
const deploy = { ...anybody, command: 'deploy', discard: [], expectedVersion: null } as const;

describe('a control record', () => {
  it.each([
    ['savepoint', { ...anybody, command: 'savepoint' }],
    [' rollback\n', { ...anybody, command: 'rollback', version: null, discard: [], expectedVersion: null }],
    ['rollback 3', { ...anybody, command: 'rollback', version: 3, discard: [], expectedVersion: null }],
    ['promote', { ...anybody, command: 'promote', version: null }],
    ['promote 12', { ...anybody, command: 'promote', version: '12' }],
    ['{"command": "promote", "version": "000000012"}', { ...anybody, command: 'promote', version: '000000012' }],
    ['demote', { ...anybody, command: 'demote' }],
    ['name: mine\nstreams: {}\n', { ...deploy, graph: 'name: mine\nstreams: {}\n' }],
    ['{ name: mine }', { ...deploy, graph: '{ name: mine }' }],
    ['{"name": "mine"}', { ...deploy, graph: '{"name": "mine"}' }],
    ['{"command": "deploy", "graph": "name: mine"}', { ...deploy, graph: 'name: mine' }],
  ])('may be bare text: %j', async (text, command) => {
    expect(await read(text, plainFormat)).toEqual(command);
    expect(await read(text, textFormat)).toEqual(command);
  });

  it('may be JSON, with its arguments beside the command or under a name, or text in a field', async () => {
    const said = {
      command: 'deploy',
      id: 'a',
      job: 'j',
      graph: { name: 'mine' },
      discard: ['pack'],
      expectedVersion: 2,
    };
    const wanted = { ...said, graph: '{"name":"mine"}' };
    expect(await read(JSON.stringify(said), jsonFormat())).toEqual(wanted);
    const { command, id, job, ...rest } = said;
    expect(await read(JSON.stringify({ command, id, job, arguments: rest }), jsonFormat())).toEqual(wanted);
    expect(await read('"savepoint"', jsonFormat())).toEqual({ ...anybody, command: 'savepoint' });
    expect(await read('{"do": {"it": "rollback 2"}}', jsonFormat('do.it'))).toMatchObject({ version: 2 });
  });

  it('may be Avro, whose arguments are text', async () => {
    const written = await avro.write({
      command: 'deploy',
      job: null,
      id: 'a',
      arguments: { graph: 'name: mine', discard: 'pack, text', expectedVersion: '2' },
    });
    expect(await read(written, avro)).toEqual({
      ...deploy,
      id: 'a',
      graph: 'name: mine',
      discard: ['pack', 'text'],
      expectedVersion: 2,
    });
  });

  it.each([
    ['{"command": "deplyo"}', 'command-invalid'],
    ['{"command": "deploy"}', 'command-invalid'],
    ['{"command": "rollback", "version": 0}', 'command-invalid'],
    ['{"command": "savepoint", "graph": "name: mine"}', 'command-invalid'],
    ['savepoint 3', 'command-invalid'],
    ['demote 3', 'command-invalid'],
    ['{"command": "savepoint", "id": ""}', 'command-invalid'],
  ])('is poison when it is none: %j', async (text, code) => {
    await expect(read(text, plainFormat)).rejects.toMatchObject({ code });
  });

  it('is poison when its topic wants something else', async () => {
    await expect(read('[1]', jsonFormat())).rejects.toMatchObject({ code: 'command-invalid' });
    await expect(read('7', jsonFormat())).rejects.toMatchObject({ code: 'command-invalid' });
    await expect(read('{"a": 1}', jsonFormat('text'))).rejects.toMatchObject({ code: 'field-missing' });
  });
});

import { Command, Option } from 'commander';
import { dotOf, mermaidOf } from '../spec/describe.ts';
import { graphLines } from '../terminal/graph-view.ts';
import { graphFor } from './graph-for.ts';
import { dataDirOption } from './options.ts';
import { inSession } from './session.ts';

interface DescribeFlags {
  readonly dataDir: string;
  readonly mermaid?: true;
  readonly dot?: true;
}

const EXAMPLES = `
Examples:
  millrace describe
  millrace describe graph.yaml
  millrace describe graph.yaml --mermaid
  millrace describe graph.yaml --dot | dot -Tsvg > graph.svg
`;

/** `millrace describe`: a graph, and what each of its operators does. */
export function describeCommand(): Command {
  return new Command('describe')
    .description('Print a graph with the documentation of each operator, or as a picture.')
    .argument('[graph]', "as YAML or JSON; by default the job's, or the one that comes with Millrace")
    .addOption(new Option('--mermaid', 'as a flow chart for Mermaid').conflicts('dot'))
    .addOption(new Option('--dot', 'as a graph for Graphviz'))
    .addOption(dataDirOption())
    .addHelpText('after', EXAMPLES)
    .action((file: string | undefined, { dataDir, mermaid, dot }: DescribeFlags) =>
      inSession(async (session) => {
        const graph = await graphFor(file, dataDir);
        await session.print(mermaid ? mermaidOf(graph) : dot ? dotOf(graph) : graphLines(graph));
      }),
    );
}

import { join } from 'node:path';
import { Command } from 'commander';
import { addRequired } from './option-parsers';
import { checkOutputPath, writeOutput, writeStdout } from './output';

/** `fles report`: the curves of training runs on one page. */
export function reportCommand(): Command {
  const command = new Command('report')
    .summary('compare training runs on one page')
    .description(
      'Writes one HTML page, which needs nothing else, with a table of training runs and their curves: terms against their target, lambda, evaluations, loss.',
    )
    .argument('<runs...>', 'output folders of fles train, or their metrics.jsonl');
  return addRequired(command, '--output <file>', 'the page to write')
    .addHelpText('after', '\nExample:\n  fles report controlled uncontrolled --output report.html')
    .action(async (runs: string[], { output }: { output: string }) => {
      const { METRICS_FILE } = await import('../train/run-log.js');
      await checkOutputPath(output, [...runs, ...runs.map((run) => join(run, METRICS_FILE))]);
      await writeOutput(output, page(runs));
      await writeStdout([`${output}\n`]);
    });
}

async function* page(runs: readonly string[]): AsyncGenerator<string> {
  const { trainReport } = await import('../train/report.js');
  yield await trainReport(runs);
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { ConfigLayer, TrainConfig } from '../train/config';
import type { Trainer, TrainProgress, TrainResult } from '../train/trainer';
import { writeStdout } from './output';
import type { Progress, Session } from './terminal';

interface Options {
  preset?: string;
  config?: string;
  model?: string;
  data?: string[];
  output?: string;
  teacher?: string;
  set?: string[];
  resume?: boolean;
}

const collect = (value: string, list: string[] = []) => [...list, value];

/** `fles train`: trains a model by a recipe. */
export function trainCommand(session: Session): Command {
  return new Command('train')
    .summary('train a sparse encoder')
    .description(
      'Trains a model by a recipe whose every key can be set (fles presets NAME prints it). The output folder becomes a Hugging Face folder with a log (metrics.jsonl, TensorBoard), a report (report.html) and checkpoints; Ctrl-C saves one, and --resume goes on from the last to the same bits.',
    )
    .option('--preset <name>', 'the recipe; see fles presets')
    .option('--config <file>', 'a JSON file of keys to set')
    .option('--model <dir or hub id>', 'the model to start from (key model)')
    .option('--data <paths...>', 'training data, files or folders (key data.paths)')
    .option('--output <dir>', 'the folder of the trained model (key output)')
    .option('--teacher <dir or hub id>', 'a model to learn from (key loss.distillation.teacher)')
    .option('--set <key=value>', 'a key of the recipe; may be repeated', collect)
    .option(
      '--resume',
      'go on from the last checkpoint in the output folder, by its configuration where no recipe is given',
    )
    .addHelpText(
      'after',
      '\nExample:\n  fles train --preset v12b --model bert-base-uncased --data pairs.jsonl --output model --set clfr.target=200 --set clfr.interval=epoch',
    )
    .action((options: Options) => train(options, session));
}

async function train(options: Options, session: Session): Promise<void> {
  // Loaded here, for the native addon comes with it: help and --version must work without.
  const { makeConfig, parseSetting, readConfigFile, TRAIN_SCHEMA } = await import('../train/config.js');
  const { Trainer } = await import('../train/trainer.js');
  const { model, data, output, teacher } = options;
  const flags = {
    ...(model !== undefined && { model }),
    ...(data !== undefined && { data: { paths: data } }),
    ...(output !== undefined && { output }),
    ...(teacher !== undefined && { loss: { distillation: { teacher } } }),
  };
  const settings = (options.set ?? []).map(parseSetting);
  const layers = [
    ...(await baseConfig(options, outputOf(options, settings, TRAIN_SCHEMA.output.initial), readConfigFile)),
    { source: 'the command line', changes: flags },
    ...settings,
  ];
  const config = withTeacher(teacher, (...first) => makeConfig(options.preset, ...first, ...layers));
  const result = await run(new Trainer(config), options, session);
  const { steps, nnz, lambda, adjustments, memory, best } = result;
  const { metric } = config.evaluation;
  await writeStdout([
    `${steps} steps; the model is in ${result.output}\n`,
    ...(nnz ? [`terms: ${nnz.documents.toFixed(1)} a document, ${nnz.queries.toFixed(1)} a query\n`] : []),
    ...(nnz ? [`lambda: ${lambda.documents.toPrecision(3)} at the end, moved ${adjustments} times\n`] : []),
    ...(best
      ? [`best ${metric}: ${best.metrics[metric]!.toFixed(4)} after step ${best.step}, in ${result.output}/best\n`]
      : []),
    ...(memory
      ? [`memory: ${megabytes(memory.total)} MB of the core, ${megabytes(memory.head)} MB of them in the head\n`]
      : []),
    ...(result.report === null ? [] : [`report: ${result.report}\n`]),
  ]);
}

/** The file of `--config`; without a recipe, a run that goes on has the configuration that it began with. */
async function baseConfig(
  { config, preset, resume }: Options,
  output: string,
  read: (path: string) => Promise<ConfigLayer>,
): Promise<ConfigLayer[]> {
  if (config !== undefined) return [await read(config)];
  if (!resume || preset !== undefined) return [];
  const path = join(output, 'train-config.json');
  // The folder may have been moved since.
  return existsSync(path) ? [await read(path), { source: 'the command line', changes: { output } }] : [];
}

/** The folder of the run, which `--set` may name too. */
function outputOf({ output }: Options, settings: readonly ConfigLayer[], initial: string): string {
  const named = settings.map(({ changes }) => (changes as { output?: unknown }).output);
  return named.filter((name) => typeof name === 'string').at(-1) ?? output ?? initial;
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

/** Weighs the KL divergence from a teacher's scores 1 where the recipe uses a teacher for nothing else. */
function withTeacher(teacher: string | undefined, make: (...layers: ConfigLayer[]) => TrainConfig): TrainConfig {
  if (teacher === undefined) return make();
  const config = make({ source: '--teacher', changes: { loss: { distillation: { kl: 1 } } } });
  const { ranking, marginMse, vocabulary } = config.loss.distillation;
  return ranking + marginMse + vocabulary === 0 ? config : make();
}

async function run(trainer: Trainer, { resume }: Options, session: Session): Promise<TrainResult> {
  const download = session.progress(`download ${trainer.config.model}`, 'bytes');
  const progress = session.progress('train', 'steps');
  try {
    return await trainer.run({
      resume,
      signal: session.signal,
      onProgress: ({ received, total }) => download.update(received, total),
      onNote: (text) => session.note(text),
      onStep: (step) => {
        download.stop();
        show(progress, step);
      },
    });
  } finally {
    download.stop();
    progress.stop();
  }
}

function show(progress: Progress, step: TrainProgress): void {
  const { loss, terms, nnz, lambda, examplesPerSecond } = step;
  progress.update(step.step, step.steps, {
    loss,
    ...terms,
    ...(nnz && { 'terms/document': nnz.documents, 'terms/query': nnz.queries, lambda: lambda.documents }),
    'examples/s': examplesPerSecond,
    secondsLeft: step.secondsLeft,
  });
}

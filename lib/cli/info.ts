import { cpus } from 'node:os';
import { Command } from 'commander';
import { messageOf } from '../errors';
import type { ModelSpec } from '../model/spec';
import type { Platform } from '../native';
import { version } from '../version';
import { writeStdout } from './output';
import type { Session } from './terminal';

interface Options {
  model?: string;
  json?: boolean;
}

interface Info {
  version: string;
  node: string;
  system: string;
  processor: string;
  /** Facts of the native core, or why it did not load. */
  native: Platform | { error: string };
  model?: ModelFacts;
}

/** What `ModelSpec` says of a model, less the places of its tensors. */
type ModelFacts = Omit<ModelSpec, 'tensors' | 'networkDirectory' | 'hasHead'>;

/** `fles info`: versions, processor, backends and what a model is. */
export function infoCommand(session: Session): Command {
  return new Command('info')
    .summary('show versions, backends and facts about a model')
    .description(
      'Shows the versions, what the processor can do, which backends are there and why one is absent, and with --model what a model is. The weights of the model are checked, not loaded.',
    )
    .option('--model <dir or hub id>', 'model folder, or the id of a model on the Hugging Face hub')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  fles info --model rasyosef/splade-tiny')
    .action((options: Options) => info(options, session));
}

async function info({ model, json }: Options, session: Session): Promise<void> {
  const facts: Info = {
    version,
    node: process.version,
    system: `${process.platform}-${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    native: await platform(),
    ...(model !== undefined && { model: await modelFacts(model, session) }),
  };
  await writeStdout([json ? `${JSON.stringify(facts)}\n` : describe(facts)]);
}

async function platform(): Promise<Info['native']> {
  try {
    // Loaded here so that a missing addon can be told of.
    const { native } = await import('../native.js');
    return native.platform();
  } catch (error) {
    return { error: messageOf(error) };
  }
}

async function modelFacts(model: string, session: Session): Promise<ModelFacts> {
  const { resolveModel } = await import('../model/hub.js');
  const { readModel } = await import('../model/model.js');
  const directory = await session.download(model, (onProgress) =>
    resolveModel(model, { onProgress, signal: session.signal }),
  );
  const { tensors, networkDirectory, hasHead, ...facts } = await readModel(directory);
  return facts;
}

function describe({ version, node, system, processor, native, model }: Info): string {
  const rows: [string, string][] = [
    ['fles', version],
    ['node', `${node} (${system})`],
    ['processor', processor],
  ];
  if ('error' in native) rows.push(['native core', `not loaded: ${native.error}`]);
  else {
    rows.push(
      ['CPU features', native.cpuFeatures.join(', ') || 'none that matter'],
      ['CPU kernels', `${native.cpuLevel} (of ${native.cpuLevels.join(', ')})`],
      ['dtype bfloat16', `products of ${native.cpuSixteenBits}`],
      ['threads', String(native.threads)],
    );
    for (const { name, available, reason, description } of native.backends) {
      rows.push([`backend ${name}`, available ? description || 'available' : `absent: ${reason}`]);
    }
  }
  if (model) rows.push(...describeModel(model));
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${name.padEnd(width)}${value}\n`).join('');
}

function describeModel(model: ModelFacts): [string, string][] {
  const { config, sparse, dense, prompts } = model;
  const output =
    model.mode === 'sparse'
      ? `sparse, pooling ${sparse?.pooling}, queries by ${model.queryKind}`
      : `dense, pooling ${dense?.pooling}${dense?.normalize ? ', normalised' : ''}`;
  return [
    ['model', model.directory],
    ['output', output],
    [
      'network',
      `${model.architecture}, ${config.layers} layers, ${config.heads} heads, hidden size ${config.hiddenSize}`,
    ],
    ['vocabulary', `${config.vocabularySize} terms`],
    ['longest text', `${model.maxLength} tokens (of ${config.maxPositions} positions)`],
    ['parameters', `${model.parameters} in ${model.storage}`],
    [
      'prompts',
      prompts.query || prompts.document ? `query "${prompts.query}", document "${prompts.document}"` : 'none',
    ],
  ];
}

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { show } from '../check';
import { FlesError } from '../errors';
import { isObject, JsonFile, joinInside, readJson, readJsonFile } from './json';
import type { DensePooling, ModelSpec, Pooling, QueryKind } from './spec';

/** What the sentence-transformers files of a model folder say, before any weight is looked at. */
export interface Layout {
  /** The folder of config.json, the weights and the tokenizer. */
  networkDirectory: string;
  /** Undefined when there is no modules.json, or when it pools in no way. */
  mode?: 'sparse' | 'dense';
  pooling: Pooling;
  dense: { pooling: DensePooling; normalize: boolean };
  /** `idf` where the layout says that queries are weighed by a table. */
  queryKind: QueryKind;
  /** The table of query weights. */
  idf?: ModelSpec['idf'];
  prompts: { query: string; document: string };
}

interface Module {
  /** Last word of the Python class. */
  kind: string;
  /** Folder of the module. */
  path: string;
  /** The file that names it, for messages. */
  source: string;
}

/**
 * Reads the layout of a model folder: modules.json with its pooling folders (sentence-transformers 0.3 to 6), a Router
 * whose query route is a table, or a plain Hugging Face checkpoint, beside which idf.json is a table of query weights.
 *
 * @throws FlesError `ERR_MODEL_MODULE` (a module or a route that is not supported), `ERR_MODEL_POOLING`, `ERR_MODEL_PATH`,
 *   `ERR_MODEL_CONFIG`, `ERR_JSON`
 */
export async function readLayout(directory: string): Promise<Layout> {
  const modulesPath = join(directory, 'modules.json');
  const list = await readJson(modulesPath);
  const layout: Layout = {
    networkDirectory: directory,
    pooling: 'max',
    dense: { pooling: 'mean', normalize: false },
    queryKind: 'encoder',
    prompts: await readPrompts(directory),
  };
  const table = join(directory, 'idf.json');
  if (await exists(table)) layout.idf = { path: table, format: 'json' };
  if (list === undefined) {
    // Models with a table and no modules.json (OpenSearch's) are trained for it.
    if (layout.idf) layout.queryKind = 'idf';
    return layout;
  }
  const modules = await flattenRouter(parseModules(list, directory, modulesPath), directory, layout);
  if (modules[0] && !isNetwork(modules[0])) throw unsupported(modules[0]);
  for (const [position, module] of modules.entries()) {
    if (position === 0) layout.networkDirectory = module.path;
    else await applyModule(module, layout);
  }
  return layout;
}

function parseModules(list: unknown, directory: string, source: string): Module[] {
  if (!Array.isArray(list) || list.length === 0) {
    throw new FlesError('ERR_MODEL_CONFIG', `${source} holds ${show(list)}, expected a list of modules`);
  }
  return list.map((item) => {
    const file = new JsonFile(source, isObject(item) ? item : {});
    return module(file.string('type'), file.string('path'), directory, source);
  });
}

function module(type: string, path: string, directory: string, source: string): Module {
  return { kind: type.slice(type.lastIndexOf('.') + 1), path: joinInside(directory, path, source), source };
}

function isNetwork({ kind }: Module): boolean {
  return kind === 'Transformer' || kind === 'MLMTransformer';
}

/** Replaces a Router by the modules of its document route; its query route may only be a table of weights. */
async function flattenRouter(modules: Module[], directory: string, layout: Layout): Promise<Module[]> {
  const router = modules[0]!;
  if (router.kind !== 'Router' && router.kind !== 'Asym') return modules;
  // Asym is the older name of the class, config.json of the file.
  const file =
    (await readJsonFile(join(router.path, 'router_config.json'))) ??
    (await readJsonFile(join(router.path, 'config.json')));
  if (!file) throw new FlesError('ERR_MODEL_MISSING', `${join(router.path, 'router_config.json')} does not exist`);
  const types = file.object('types');
  const structure = file.object('structure');
  const route = (name: string): Module[] => {
    const ids = structure.value[name];
    if (!Array.isArray(ids) || ids.length === 0) {
      throw structure.error(name, 'expected a list of modules; only the routes "query" and "document" are supported');
    }
    return ids.map((id) => module(types.string(String(id)), String(id), router.path, file.path));
  };
  const documents = route('document');
  const [table, ...others] = route('query');
  if (table!.kind !== 'SparseStaticEmbedding' || others.length > 0) {
    throw new FlesError(
      'ERR_MODEL_MODULE',
      `${file.path}: the query route is ${[table!, ...others].map(({ kind }) => kind).join(', ')}, ` +
        'supported is one SparseStaticEmbedding; save the query network as a model of its own',
    );
  }
  layout.idf = await findTable(table!, directory);
  layout.queryKind = 'idf';
  return [...documents, ...modules.slice(1)];
}

async function findTable(table: Module, directory: string): Promise<ModelSpec['idf']> {
  const config = await readJsonFile(join(table.path, 'config.json'));
  const named = config?.string('path', '') ?? '';
  if (named.endsWith('.json')) {
    const beside = joinInside(table.path, named, config!.path);
    return { path: (await exists(beside)) ? beside : joinInside(directory, named, config!.path), format: 'json' };
  }
  return { path: join(table.path, 'model.safetensors'), format: 'safetensors' };
}

async function applyModule(module: Module, layout: Layout): Promise<void> {
  switch (module.kind) {
    case 'SpladePooling':
      checkOrder(module, layout);
      layout.mode = 'sparse';
      layout.pooling = await readSpladePooling(module);
      return;
    case 'Pooling':
      checkOrder(module, layout);
      layout.mode = 'dense';
      layout.dense.pooling = await readDensePooling(module, layout);
      return;
    case 'Normalize':
      checkOrder(module, layout);
      layout.dense.normalize = true;
      return;
    default:
      throw unsupported(module);
  }
}

/** A text is pooled once, and only a dense vector that is pooled is made as long as 1. */
function checkOrder({ kind, source }: Module, { mode }: Layout): void {
  const fits = kind === 'Normalize' ? mode === 'dense' : mode === undefined;
  if (fits) return;
  const before = mode === undefined ? 'no pooling' : mode === 'sparse' ? 'SpladePooling' : 'Pooling';
  throw new FlesError(
    'ERR_MODEL_MODULE',
    `${source} has the module ${show(kind)} behind ${before}, expected one pooling, and Normalize behind Pooling alone; choose another model`,
  );
}

function unsupported({ kind, source }: Module): FlesError {
  return new FlesError(
    'ERR_MODEL_MODULE',
    `${source} has the module ${show(kind)}, supported are Transformer or MLMTransformer (first), SpladePooling, ` +
      'Pooling, Normalize, and a Router with a SparseStaticEmbedding for queries',
  );
}

async function readSpladePooling(module: Module): Promise<Pooling> {
  const path = join(module.path, 'config.json');
  const file = (await readJsonFile(path)) ?? new JsonFile(path, {});
  const strategy = file.string('pooling_strategy', 'max');
  const activation = file.string('activation_function', 'relu');
  if (strategy === 'max' && activation === 'relu') return 'max';
  if (strategy === 'sum' && activation === 'relu') return 'sum';
  if (strategy === 'max' && activation === 'log1p_relu') return 'log1p_log1p';
  if (strategy === 'sum' && activation === 'log1p_relu') return 'sum_log1p_log1p';
  throw new FlesError(
    'ERR_MODEL_POOLING',
    `${path} pools by ${show(strategy)} of ${show(activation)}, supported are max or sum of relu or log1p_relu`,
  );
}

async function readDensePooling(module: Module, layout: Layout): Promise<DensePooling> {
  const path = join(module.path, 'config.json');
  const file = (await readJsonFile(path)) ?? new JsonFile(path, {});
  let modes = file.value.pooling_mode;
  if (modes === undefined) {
    // Before sentence-transformers 5.4: one switch a mode.
    const on = Object.entries(file.value).filter(([key, value]) => key.startsWith('pooling_mode_') && value === true);
    modes = on.length > 0 ? on.map(([key]) => key.replace(/^pooling_mode_|_tokens?$/g, '')) : 'mean';
  }
  const mode = Array.isArray(modes) && modes.length === 1 ? modes[0] : modes;
  if (mode !== 'mean' && mode !== 'cls') {
    const seen = Array.isArray(mode) ? mode.join(' + ') : String(mode);
    throw new FlesError('ERR_MODEL_POOLING', `${path} pools by ${show(seen)}, supported are "mean" and "cls"`);
  }
  if (!file.boolean('include_prompt', true) && (layout.prompts.query || layout.prompts.document)) {
    throw file.error('include_prompt', 'leaving the prompt out of the pooling is not supported', 'ERR_MODEL_POOLING');
  }
  return mode;
}

/** The texts put before queries and documents, as `encode_query` and `encode_document` choose them. */
async function readPrompts(directory: string): Promise<Layout['prompts']> {
  const file = await readJsonFile(join(directory, 'config_sentence_transformers.json'));
  if (!file) return { query: '', document: '' };
  const prompts = file.object('prompts');
  const pick = (...names: string[]) => {
    const name = [...names, file.string('default_prompt_name', '')].find((name) => prompts.has(name));
    return name === undefined ? '' : prompts.string(name);
  };
  return { query: pick('query'), document: pick('document', 'passage', 'corpus') };
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

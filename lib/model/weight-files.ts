import { join } from 'node:path';
import { show } from '../check';
import { FlesError } from '../errors';
import { isObject, joinInside, readJsonFile } from './json';
import { exists } from './modules';
import { readSafetensorsHeader, type SafetensorsEntry } from './safetensors';

/** The tensors of a model folder, over all its safetensors files. */
export interface WeightFiles {
  /** Absolute paths. */
  files: string[];
  /** By the name in the file. */
  tensors: Map<string, SafetensorsEntry & { file: number }>;
  /** What errors about a tensor that is nowhere name: the only file, or the index of the shards. */
  source: string;
}

/** Files of weights that are not read, in the order in which they are looked for, to say what was found. */
const OTHER_WEIGHTS = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'tf_model.h5', 'flax_model.msgpack'];

/**
 * Reads and validates the headers of `model.safetensors`, or of the shards that `model.safetensors.index.json` lists.
 *
 * @throws FlesError `ERR_MODEL_WEIGHTS` (no safetensors), `ERR_SAFETENSORS_INDEX` (an index that does not fit its shards),
 *   `ERR_MODEL_PATH` (a shard outside the folder), and those of `readSafetensorsHeader`
 */
export async function readWeightFiles(directory: string): Promise<WeightFiles> {
  const single = join(directory, 'model.safetensors');
  if (await exists(single)) {
    const entries = await readSafetensorsHeader(single);
    const tensors = new Map([...entries].map(([name, entry]) => [name, { ...entry, file: 0 }]));
    return { files: [single], tensors, source: single };
  }
  const index = join(directory, 'model.safetensors.index.json');
  if (await exists(index)) return readShards(directory, index);
  for (const name of OTHER_WEIGHTS) {
    if (await exists(join(directory, name))) {
      throw new FlesError(
        'ERR_MODEL_WEIGHTS',
        `${directory} has ${name} but no model.safetensors; convert it in Python with ` +
          'transformers.AutoModelForMaskedLM.from_pretrained(folder).save_pretrained(folder) ' +
          '(AutoModel for a dense encoder)',
      );
    }
  }
  throw new FlesError('ERR_MODEL_WEIGHTS', `${directory} has no model.safetensors; download the weights`);
}

async function readShards(directory: string, index: string): Promise<WeightFiles> {
  const weightMap = (await readJsonFile(index))?.value.weight_map;
  if (!isObject(weightMap) || !Object.values(weightMap).every((shard) => typeof shard === 'string')) {
    throw new FlesError(
      'ERR_SAFETENSORS_INDEX',
      `${index} has no weight_map from tensors to shards; download it again`,
    );
  }
  const shards = [...new Set(Object.values(weightMap) as string[])].sort();
  const files: string[] = [];
  const tensors: WeightFiles['tensors'] = new Map();
  for (const [file, shard] of shards.entries()) {
    const path = joinInside(directory, shard, index);
    if (!(await exists(path))) {
      throw new FlesError(
        'ERR_SAFETENSORS_INDEX',
        `${index} names the shard ${show(shard)}, which is not there; download it`,
      );
    }
    files.push(path);
    for (const [name, entry] of await readSafetensorsHeader(path)) {
      // The index decides where a tensor is read from, as transformers does.
      if (weightMap[name] === shard) tensors.set(name, { ...entry, file });
    }
  }
  for (const [name, shard] of Object.entries(weightMap)) {
    if (!tensors.has(name)) {
      throw new FlesError(
        'ERR_SAFETENSORS_INDEX',
        `${join(directory, shard as string)} has no tensor ${show(name)} although ${index} says so; download both again`,
      );
    }
  }
  return { files, tensors, source: index };
}

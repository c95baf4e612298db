import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeConfig, parseSetting, TRAIN_SCHEMA } from '../../lib/train/config';
import { objectiveOf } from '../../lib/train/objective';
import { PRESETS, type Preset } from '../../lib/train/presets';
import { fields } from '../../lib/train/schema';

const set = (...settings: string[]) => makeConfig('v12b', ...settings.map(parseSetting));
const keys = [...fields(TRAIN_SCHEMA)].map(([key]) => key);

describe('a configuration', () => {
  test('has the defaults, the preset over them and the layers over that', () => {
    const config = makeConfig(
      'v12b',
      { source: 'a.json', changes: { seed: 7, clfr: { gain: 0.2 } } },
      parseSetting('seed=9'),
    );
    expect(config).toMatchObject({ seed: 9, epochs: 2, clfr: { gain: 0.2, target: 400, law: 'relative' } });
    expect(config.optimizer.beta2).toBe(0.999);
  });

  test('is JSON that gives itself back', () => {
    for (const name of Object.keys(PRESETS)) {
      const config = makeConfig(name);
      expect(makeConfig(undefined, { source: 'x', changes: JSON.parse(JSON.stringify(config)) })).toEqual(config);
    }
  });

  test('takes --set key=value with nested keys, JSON values and words', () => {
    expect(
      set('clfr.interval=100', 'clfr.queryTarget=20', 'loss.flops.norm=l1', 'batch.shuffle=false', 'steps=10'),
    ).toMatchObject({
      clfr: { interval: 100, queryTarget: 20 },
      loss: { flops: { norm: 'l1', documents: 3e-5 } },
      batch: { shuffle: false, negatives: 7 },
      steps: 10,
    });
    expect(set('clfr.interval=epoch').clfr.interval).toBe('epoch');
    expect(set('model=a=b').model).toBe('a=b');
    expect(set('clfr.queryTarget=null').clfr.queryTarget).toBeNull();
  });
});

describe('what is refused names the key, the value and what is expected', () => {
  test.each([
    [['clfr.gain=high'], 'ERR_CONFIG_VALUE', '--set clfr.gain=high: clfr.gain is "high", expected a number in 0..100'],
    [['seed=-1'], 'ERR_CONFIG_VALUE', 'seed is -1, expected an integer in 0..4294967295'],
    [['clfr.law=pid'], 'ERR_CONFIG_VALUE', 'clfr.law is "pid", expected none | per-step | relative'],
    [['clfr=5'], 'ERR_CONFIG_VALUE', 'clfr is 5, expected an object of law, measure'],
    [['steps=0'], 'ERR_CONFIG_VALUE', 'steps is 0, expected an integer in 1..2147483647, or null'],
    [['model='], 'ERR_CONFIG_VALUE', 'model is "", expected a string'],
    [['clfr.gian=1'], 'ERR_CONFIG_KEY', 'there is no key "clfr.gian"; did you mean "clfr.gain"?'],
    [['target=400'], 'ERR_CONFIG_KEY', 'there is no key "target"; did you mean "clfr.target"?'],
    [['seed.x=1'], 'ERR_CONFIG_VALUE', 'seed is'],
    [['__proto__=1'], 'ERR_CONFIG_KEY', 'there is no key "__proto__"'],
    [['clfr.gain'], 'ERR_CONFIG_SETTING', 'expected key=value'],
    [['clfr.lambdaMin=1', 'clfr.lambdaMax=0.1'], 'ERR_CONFIG_CONFLICT', 'clfr.lambdaMin is 1, expected at most'],
    [['loss.flops.documents=0'], 'ERR_CONFIG_CONFLICT', 'loss.flops.documents is 0, expected a number above 0'],
    [['loss.flops.queries=0', 'clfr.queryTarget=9'], 'ERR_CONFIG_CONFLICT', 'loss.flops.queries is 0'],
    [['network.mode=dense'], 'ERR_CONFIG_CONFLICT', 'set clfr.law=none'],
    [['network.mode=dense', 'clfr.law=none'], 'ERR_CONFIG_CONFLICT', 'set loss.flops.documents=0'],
    [['network.pooling=mean'], 'ERR_CONFIG_CONFLICT', 'network.pooling is "mean" but network.mode is "sparse"'],
    [['network.mode=dense', 'network.pooling=max'], 'ERR_CONFIG_CONFLICT', 'set network.mode=sparse'],
    [['loss.infoNce=0'], 'ERR_CONFIG_CONFLICT', 'nothing is learnt'],
    [['loss.distillation.vocabulary=1'], 'ERR_CONFIG_CONFLICT', 'without loss.distillation.teacher'],
    [['loss.distillation.ranking=1'], 'ERR_CONFIG_CONFLICT', 'ranking is 1 without loss.distillation.teacher'],
    [['loss.distillation.teacher=t'], 'ERR_CONFIG_CONFLICT', 'teacher is t, but nothing is learnt from it'],
    [['clfr.lambdaMin=0'], 'ERR_CONFIG_CONFLICT', 'clfr.lambdaMin is 0, expected a number above it'],
    [['clfr.law=adaptive', 'clfr.gain=0'], 'ERR_CONFIG_CONFLICT', 'clfr.gain is 0, expected a number above it'],
    [['network.queryKind=bag', 'clfr.queryTarget=9'], 'ERR_CONFIG_CONFLICT', 'set clfr.queryTarget=null'],
    [['task=mlm', 'batch.lastStep=wrap'], 'ERR_CONFIG_CONFLICT', 'set batch.lastStep=drop'],
    [['batch.givenNegatives=9'], 'ERR_CONFIG_CONFLICT', 'givenNegatives is 9, expected at most batch.negatives, 7'],
    [['batch.negatives=0', 'batch.queries=1'], 'ERR_CONFIG_CONFLICT', 'batch.negatives is 0 and batch.queries is 1'],
    [['batch.negatives=0', 'loss.negatives=own'], 'ERR_CONFIG_CONFLICT', 'loss.negatives is "own": a positive has no'],
  ])('%j', (settings, code, message) => {
    expect(() => set(...settings)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  test('an unknown preset', () => {
    expect(() => makeConfig('v12c')).toThrow(
      expect.objectContaining({ code: 'ERR_PRESET_UNKNOWN', message: expect.stringContaining('v12a, v12b, v14') }),
    );
    expect(() => makeConfig('constructor')).toThrow(expect.objectContaining({ code: 'ERR_PRESET_UNKNOWN' }));
  });
});

describe('the presets', () => {
  test('v12b is the published run: 200,000 pairs twice, 32 x 8 texts, 2e-5, lambda 3e-5, 400 terms, gain 0.1 every 6,250 steps', () => {
    expect(makeConfig('v12b')).toMatchObject({
      task: 'retrieval',
      epochs: 2,
      steps: null,
      batch: { queries: 32, negatives: 7, givenNegatives: 0, examples: 200_000 },
      optimizer: { rate: 2e-5, schedule: 'linear', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: 1 },
      loss: {
        infoNce: 1,
        temperature: 0.05,
        similarity: 'dot',
        negatives: 'all',
        flops: { norm: 'l2', documents: 3e-5 },
      },
      clfr: { law: 'relative', measure: 'nnz', target: 400, gain: 0.1, interval: 6250, window: 500 },
    });
  });

  test('v11c, v12a and v14 differ from v12b in the law or in the norm alone', () => {
    const other = (name: string) => {
      const [a, b] = [makeConfig('v12b'), makeConfig(name)];
      return keys.filter((key) => at(a, key) !== at(b, key));
    };
    expect(other('v11c')).toEqual(['clfr.law']);
    expect(other('v12a')).toEqual(['clfr.law']);
    expect(other('v14')).toEqual(['loss.flops.norm', 'loss.flops.documents', 'loss.flops.queries']);
    expect(other('fles2-v32')).toContain('loss.distillation.vocabulary');
  });

  test('mark as published only keys that exist', () => {
    for (const { published } of Object.values<Preset>(PRESETS))
      expect(keys).toEqual(expect.arrayContaining([...published]));
  });
});

test("the teacher's scores have the student's temperature, or one of their own", () => {
  const temperatures = (...settings: string[]) => {
    const { distillationTemperature, teacherTemperature } = objectiveOf(set(...settings), { documents: 0, queries: 0 });
    return [distillationTemperature, teacherTemperature];
  };
  expect(temperatures('loss.distillation.temperature=2')).toEqual([2, 2]);
  expect(temperatures('loss.distillation.temperature=2', 'loss.distillation.teacherTemperature=0.05')).toEqual([
    2, 0.05,
  ]);
});

test('docs/training.md lists every key with its default and what it means', () => {
  const text = readFileSync(join(__dirname, '../../docs/training.md'), 'utf8');
  const short = (value: unknown) =>
    typeof value === 'number' && value > 0 && value < 1e-3 ? value.toExponential() : JSON.stringify(value);
  for (const [key, { initial, doc, expected }] of fields(TRAIN_SCHEMA)) {
    const meaning = `${doc}; ${expected}`.replaceAll('|', '\\|');
    expect(text).toContain(`| \`${key}\` | \`${short(initial)}\` | ${meaning} |`);
  }
});

function at(config: object, key: string): unknown {
  return key.split('.').reduce<unknown>((part, step) => (part as Record<string, unknown>)[step], config);
}

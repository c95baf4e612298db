import { Command } from 'commander';
import { makeConfig, presetName, TRAIN_SCHEMA } from '../train/config';
import { PRESETS, type Preset } from '../train/presets';
import { fields } from '../train/schema';
import { writeStdout } from './output';

/** `fles presets`: the training recipes, or one of them field by field. */
export function presetsCommand(): Command {
  return new Command('presets')
    .summary('show the training recipes')
    .description(
      "Lists the training recipes, or prints one field by field: what is published (*), what is this package's choice, what each key means, and the values it takes (in brackets).",
    )
    .argument('[name]', 'the recipe to print')
    .option('--json', 'print JSON: of one recipe, a configuration that fles train --config takes')
    .addHelpText('after', '\nExample:\n  fles presets v12b')
    .action((name: string | undefined, { json }: { json?: boolean }) =>
      writeStdout([name === undefined ? listed(json) : json ? toJson(makeConfig(name)) : described(name)]),
    );
}

const toJson = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

function listed(json = false): string {
  if (json) return toJson(PRESETS);
  return table(Object.entries(PRESETS).map(([name, { summary }]) => [name, summary]));
}

function described(name: string): string {
  const preset: Preset = PRESETS[presetName(name)];
  const config = makeConfig(name);
  const rows = [...fields(TRAIN_SCHEMA)].map(([key, { doc, expected }]) => {
    const value = key.split('.').reduce<unknown>((part, step) => (part as Record<string, unknown>)[step], config);
    return [preset.published.includes(key) ? '*' : ' ', key, shown(value), `${doc} (${expected})`];
  });
  return [
    `${name}: ${preset.summary}`,
    `starts from: ${preset.startsFrom}`,
    `source: ${preset.source}`,
    '* as published; the others are choices of this package',
    '',
    table(rows),
  ].join('\n');
}

/** A value as `--set` takes it, small numbers short. */
function shown(value: unknown): string {
  return typeof value === 'number' && value > 0 && value < 1e-3 ? value.toExponential() : JSON.stringify(value);
}

/** Columns padded, the last one as it is. */
function table(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: string[]) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join('  ');
  return `${rows.map(line).join('\n')}\n`;
}

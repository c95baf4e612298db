import { type Command, InvalidArgumentError } from 'commander';
import { rangeOf } from '../check';

/** Parser of an integer option in `min..max`. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Expected an integer in ${min}..${max}.`);
    return value;
  };
}

/** Parser of a number option in `min..max`, in decimal notation. */
export function number(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Expected a number ${rangeOf(min, max)}.`);
    return value;
  };
}

/** Parser of a list between commas whose members are parsed by `parse`. */
export function list<T>(parse: (text: string) => T): (text: string) => T[] {
  return (text) =>
    text.split(',').map((part) => {
      if (part.trim() === '') throw new InvalidArgumentError('Expected values between commas, none of them empty.');
      return parse(part.trim());
    });
}

/**
 * Adds an option that must be given. Commander's own `requiredOption` reports it as missing before it notices that it is
 * there with a slip in its name.
 */
export function addRequired(command: Command, flags: string, description: string): Command {
  const option = command.createOption(flags, `${description} (required)`);
  return command.addOption(option).hook('preAction', () => {
    if (command.getOptionValue(option.attributeName()) === undefined) {
      command.error(`error: option '${flags}' is required; see ${command.parent?.name()} ${command.name()} --help`);
    }
  });
}

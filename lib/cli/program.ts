import { Command, CommanderError } from 'commander';
import { nearest } from '../check';
import { FlesError, isFileError } from '../errors';
import { version } from '../version';
import { dataCommand } from './data-command';
import { encodeCommand } from './encode';
import { evalCommand } from './eval';
import { indexCommand } from './index-command';
import { infoCommand } from './info';
import { mineCommand } from './mine-command';
import { integer } from './option-parsers';
import { presetsCommand } from './presets-command';
import { reportCommand } from './report-command';
import { searchCommand } from './search';
import { EXIT, exitCode, formatError, Session } from './terminal';
import { trainCommand } from './train-command';

/**
 * Runs the command line and returns its exit code: 0 done, 1 failed, 2 bad usage or input, 130 interrupted.
 *
 * Results go to standard output or to files, progress and errors to standard error.
 *
 * @param argv as `process.argv` has it
 * @param interrupt aborts on Ctrl-C
 */
export async function run(argv: readonly string[], interrupt: AbortSignal): Promise<number> {
  const program = createProgram(new Session(interrupt));
  try {
    await program.parseAsync(argv);
    return EXIT.done;
  } catch (error) {
    // Commander has printed its message, help or version.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    // Where a file could not be written, what was done is not saved.
    if (interrupt.aborted && !isFileError(error)) {
      process.stderr.write('interrupted\n');
      return EXIT.interrupted;
    }
    // Whoever read standard output has seen enough.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return EXIT.done;
    process.stderr.write(formatError(error, program.opts().debug === true));
    return exitCode(error);
  }
}

function createProgram(session: Session): Command {
  const program = new Command('fles')
    .description('Learned sparse retrieval: train encoders, encode texts, build and search an index, evaluate runs.')
    .version(version, '-v, --version', 'print the version')
    .option('--debug', 'print the stack of an error')
    .helpOption('-h, --help', 'print help')
    .showHelpAfterError(false)
    .addHelpText('after', '\n`fles help <command>` shows the options of a command and an example.');
  const commands = [
    encodeCommand,
    indexCommand,
    searchCommand,
    evalCommand,
    dataCommand,
    mineCommand,
    trainCommand,
    presetsCommand,
    reportCommand,
    infoCommand,
  ];
  for (const create of commands) program.addCommand(create(session));
  // Commander's own guess is too generous: "encode" for "nope".
  program.on('command:*', ([name]: string[]) => {
    const names = program.commands.map((command) => command.name());
    const guess = nearest(name!, names);
    program.error(
      `error: unknown command '${name}'\n(${guess ? `Did you mean ${guess}?` : `Expected one of ${names.join(', ')}.`})`,
    );
  });
  for (const command of program.commands.filter((command) => !WITHOUT_THREADS.includes(command.name()))) {
    command.option(
      '--threads <n>',
      'compute threads (default: FLES_NUM_THREADS, else all processors)',
      integer(1, 1024),
    );
  }
  program.hook('preAction', async (_, command) => {
    refuseStreams(command);
    const threads = command.getOptionValue('threads');
    // Loaded here, for the native addon comes with it: help and --version must work without.
    if (threads !== undefined) (await import('../threads.js')).setThreads(threads);
  });
  for (const command of [program, ...program.commands]) {
    command
      .configureHelp({ showGlobalOptions: true })
      .exitOverride()
      .configureOutput({
        outputError: (text, write) => write(text.replace(/^error: /, 'error: ERR_USAGE ')),
      });
  }
  return program;
}

/** Commands that compute nothing. */
const WITHOUT_THREADS = ['presets', 'report'];

/**
 * Refuses `-` where a file or a folder is needed. The descriptions of options say where it stands for standard input or
 * output; without this it would be the name of a file elsewhere.
 */
function refuseStreams(command: Command): void {
  const refused = command.options.find(
    (option) =>
      /<(file|dir|paths)/.test(option.flags) &&
      !option.description.includes('- for standard') &&
      [command.getOptionValue(option.attributeName())].flat().includes('-'),
  );
  const name = refused?.long ?? (command.args.includes('-') ? `fles ${command.name()}` : undefined);
  if (name === undefined) return;
  throw new FlesError(
    'ERR_USAGE',
    `${name} takes no -, which stands for standard input and output elsewhere; write ./- for a file of that name`,
  );
}

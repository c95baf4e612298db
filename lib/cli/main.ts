#!/usr/bin/env node
import { run } from './program';
import { EXIT } from './terminal';

const interrupt = new AbortController();
// The first Ctrl-C lets the command tidy up, a second one does not wait for that.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort();
  });
}
// `writeStdout` reports what goes wrong; without a listener Node would print a stack besides.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

run(process.argv, interrupt.signal).then((code) => {
  process.exitCode = code;
  // What an abort has left pending, such as a connection kept alive, must not hold the process.
  if (interrupt.signal.aborted) process.exit();
});

import { readFileSync } from 'node:fs';

/** What a thread of the host has asked of the emulated device (cuda/emulate/log.h). */
export interface LogLine {
  thread: string;
  what: string;
}

/** The lines of the file that FLES_EMULATE_LOG names, which is read when the library is opened. */
export function readEmulatorLog(): LogLine[] {
  const lines = readFileSync(process.env.FLES_EMULATE_LOG!, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const space = line.indexOf(' ');
    return { thread: line.slice(0, space), what: line.slice(space + 1) };
  });
}

// A contender of a benchmark: a process of its own that answers one JSON line with another. Each sees one request at a time,
// so contenders never compete for the processors.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Contender {
  #process;
  #lines;

  constructor(name, command, args, env = {}) {
    this.name = name;
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async ask(request) {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.name} ended without an answer`);
    const answer = JSON.parse(value);
    if (answer.error) throw new Error(`${this.name}: ${answer.error}`);
    return answer;
  }

  stop() {
    this.#process.kill();
  }
}

/** Serves requests in a contender's process: one JSON line in, one out. */
export async function serve(answer) {
  for await (const line of createInterface({ input: process.stdin })) {
    let result;
    try {
      result = await answer(JSON.parse(line));
    } catch (error) {
      result = { error: error instanceof Error ? error.message : String(error) };
    }
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

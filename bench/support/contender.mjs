// A contender of a benchmark: a process of its own that answers one JSON line with another. Each sees one request at a time,
// so contenders never compete for the processors.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

/** Threads of some runtimes go on spinning for work after their answer: this long, they would slow the next contender down. */
const SPINNING = 200;
/** Milliseconds beyond which a call is not repeated to warm up: what it loses to cold caches is little then. */
const LONG = 1000;

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

  /** Milliseconds of each of `repeat` calls, when the threads of others are at rest and after one call to warm up. */
  async time({ repeat = 1, ...request }) {
    await setTimeout(SPINNING);
    const { milliseconds } = await this.ask(request);
    if (milliseconds[0] > LONG && repeat === 1) return milliseconds;
    return (await this.ask({ ...request, repeat })).milliseconds;
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

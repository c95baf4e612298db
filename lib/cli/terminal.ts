import { Format, Presets, SingleBar } from 'cli-progress';
import { FlesError, fileError, messageOf } from '../errors';
import type { DownloadProgress } from '../model/hub';

/** What a command gets from the process: a signal that Ctrl-C aborts, and standard error. */
export class Session {
  private lastReport = Number.NEGATIVE_INFINITY;

  constructor(
    readonly signal: AbortSignal,
    private readonly stderr: NodeJS.WriteStream = process.stderr,
  ) {}

  /** Progress of a task. On a pipe a line is written a second at most, whatever the number of tasks. */
  progress(task: string, unit: string): Progress {
    return new Progress(this.stderr, task, unit, () => this.isDue());
  }

  private isDue(): boolean {
    const now = performance.now();
    if (now - this.lastReport < 1000) return false;
    this.lastReport = now;
    return true;
  }

  /** Runs something that may download a model, and shows how far it is. */
  async download<T>(model: string, work: (onProgress: (progress: DownloadProgress) => void) => Promise<T>): Promise<T> {
    const progress = this.progress(`download ${model}`, 'bytes');
    try {
      return await work(({ received, total }) => progress.update(received, total));
    } finally {
      progress.stop();
    }
  }

  /** A remark for the person at the keyboard. */
  note(text: string): void {
    this.stderr.write(`note: ${text}\n`);
  }
}

/** Exit codes of `fles`. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/**
 * Codes that speak of the machine, the network, the program or the course of a training run, or of damage to what it wrote:
 * what was typed and given is not at fault. docs/errors.md marks them.
 */
const FAILURES = new Set([
  'ERR_ADDON_MISSING',
  'ERR_CHECKPOINT_DAMAGED',
  'ERR_CUDA',
  'ERR_DISK_FULL',
  'ERR_DISPOSED',
  'ERR_FILE_ACCESS',
  'ERR_FILE_IO',
  'ERR_GRADIENT_VANISHED',
  'ERR_HUB_ACCESS',
  'ERR_HUB_BUSY',
  'ERR_HUB_HASH',
  'ERR_HUB_NETWORK',
  'ERR_HUB_OFFLINE',
  'ERR_HUB_RESPONSE',
  'ERR_INDEX_CHECKSUM',
  'ERR_INDEX_HEADER',
  'ERR_INDEX_STRUCTURE',
  'ERR_INTERNAL',
  'ERR_LOSS_NOT_FINITE',
  'ERR_OUT_OF_MEMORY',
  'ERR_OUTPUT_BUSY',
  'ERR_THREAD_START',
]);

/** The exit code of an error: 2 when options or input are at fault, 1 for everything else. */
export function exitCode(error: unknown): number {
  const named = fileError(error, '');
  return named instanceof FlesError && !FAILURES.has(named.code) ? EXIT.usage : EXIT.failed;
}

/** An error as the command line prints it: `CODE message`, and the stack under it when debugging. */
export function formatError(error: unknown, debug: boolean): string {
  const named = fileError(error, (error as NodeJS.ErrnoException | undefined)?.path ?? 'a file');
  const code = (named as { code?: unknown } | undefined)?.code;
  const line = `error: ${typeof code === 'string' ? code : 'ERR_UNEXPECTED'} ${messageOf(named)}\n`;
  return debug && error instanceof Error ? `${line}${error.stack}\n` : line;
}

/** How far a task has come: a bar on a terminal, a JSON line a second and at the end elsewhere. */
export class Progress {
  private bar: SingleBar | undefined;
  /** What was reported last, unless it has been written. */
  private unwritten: object | undefined;
  private done = 0;
  private total: number | undefined;
  private detail: Readonly<Record<string, number>> = {};

  constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly task: string,
    private readonly unit: string,
    private readonly isDue: () => boolean,
  ) {}

  /**
   * @param done units done so far
   * @param total all units, when known
   * @param detail further numbers by name; `secondsLeft` takes the place of what the bar reckons
   */
  update(done: number, total?: number, detail: Readonly<Record<string, number>> = {}): void {
    this.done = done;
    this.total = total;
    if (this.stream.isTTY) this.draw(done, total, detail);
    else this.report(done, total, detail);
  }

  /** Tells that all is done: all units there are, or as many as have come where their number was not known. Then as `stop`. */
  finish(): void {
    const all = this.total ?? this.done;
    this.update(all, all);
    this.stop();
  }

  /** Ends the bar, or writes how far it came; to be called once the task is over, however it ended. */
  stop(): void {
    this.bar?.stop();
    this.bar = undefined;
    if (this.unwritten) this.write(this.unwritten);
  }

  private draw(done: number, total: number | undefined, detail: Readonly<Record<string, number>>): void {
    this.detail = detail;
    if (!this.bar) {
      const bar = new SingleBar(
        {
          stream: this.stream,
          hideCursor: true,
          barsize: 24,
          format: (options, params) => {
            const count = `${this.task} ${params.value}`;
            if (params.total === 0) return `${count} ${this.unit}`;
            const bar = Format.BarFormat(params.progress, options);
            // Not a number before there is anything to reckon from.
            const { secondsLeft = params.eta, ...others } = this.detail;
            const eta = Number.isFinite(secondsLeft) ? ` ${Format.TimeFormat(secondsLeft, options, 1)} left` : '';
            const numbers = Object.entries(others).map(([name, value]) => ` ${name} ${short(value)}`);
            return `${count}/${params.total} ${this.unit} ${bar}${eta}${numbers.join('')}`;
          },
        },
        Presets.shades_classic,
      );
      bar.start(total ?? 0, done);
      this.bar = bar;
    }
    if (total !== undefined) this.bar.setTotal(total);
    this.bar.update(done);
  }

  private report(done: number, total: number | undefined, detail: Readonly<Record<string, number>>): void {
    this.unwritten = { task: this.task, unit: this.unit, done, total: total ?? null, ...detail };
    if (this.isDue()) this.write(this.unwritten);
  }

  private write(progress: object): void {
    this.unwritten = undefined;
    this.stream.write(`${JSON.stringify({ progress })}\n`);
  }
}

/** A number in few characters: three digits that count. */
function short(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/**
 * The one error class of the package.
 *
 * `code` is stable and starts with `ERR_`; the message names the value seen, the value expected and the next step.
 * Errors thrown by the native core arrive as the same class.
 */
export class FlesError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'FlesError';
    this.code = code;
  }
}

/** The message of anything that was thrown, without a stack trace. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Wraps a file system error so that it names the path and what to do; other errors pass unchanged. */
export function fileError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  // An empty name, or one with a character that is not to be seen.
  const name = path === '' || path.includes('\0') ? JSON.stringify(path) : path;
  switch (code) {
    case 'ENOENT':
      return new FlesError('ERR_FILE_NOT_FOUND', `${name} does not exist; check the path`, { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new FlesError('ERR_FILE_ACCESS', `${name} cannot be opened (${code}); check its permissions`, {
        cause: error,
      });
    case 'ENOSPC':
    case 'EDQUOT':
      return new FlesError('ERR_DISK_FULL', `no space left while writing ${name}; free some space and run again`, {
        cause: error,
      });
    case 'EISDIR':
      return new FlesError('ERR_FILE_KIND', `${name} is a directory, expected a file`, { cause: error });
    case 'ENOTDIR':
      return new FlesError('ERR_FILE_KIND', `${name} has a file where a directory is expected; check the path`, {
        cause: error,
      });
    case 'EEXIST':
      return new FlesError('ERR_FILE_EXISTS', `${name} exists already; choose another path`, { cause: error });
    case 'ENAMETOOLONG':
    case 'ELOOP':
    case 'EINVAL':
      return new FlesError('ERR_FILE_NAME', `${name} cannot be the name of a file (${code}); choose another path`, {
        cause: error,
      });
    case 'ERR_INVALID_ARG_VALUE':
      // Node's own, of functions that take a path.
      if (!messageOf(error).includes('without null bytes')) return error;
      return new FlesError('ERR_FILE_NAME', `${name} cannot be the name of a file; choose another path`, {
        cause: error,
      });
    default:
      if (!isFileSystemError(error)) return error;
      return new FlesError('ERR_FILE_IO', `${name} cannot be read or written (${messageOf(error)})`, { cause: error });
  }
}

/** Whether an error says that a file could not be read or written. */
export function isFileError(error: unknown): error is FlesError {
  return error instanceof FlesError && (error.code === 'ERR_DISK_FULL' || error.code.startsWith('ERR_FILE_'));
}

/** Errors of sockets and pipes come from system calls too; those that hold them know what they mean. */
function isFileSystemError(error: unknown): boolean {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return (
    typeof code === 'string' &&
    typeof syscall === 'string' &&
    /^E[A-Z0-9]+$/.test(code) &&
    !/^(EPIPE|ECONN.*|ENOTCONN|ETIMEDOUT|ENOTFOUND|EHOST.*|ENET.*|EADDR.*|EAI.*)$/.test(code)
  );
}

/** Throws the `AbortError` of an aborted signal; does nothing otherwise. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  signal?.throwIfAborted();
}

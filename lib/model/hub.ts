import { resolve } from 'node:path';

// Provisional until the downloader lands: local folders only.
export interface DownloadProgress {
  file: string;
  received: number;
  total: number;
  filesDone: number;
  filesTotal: number;
}

export interface ResolveOptions {
  revision?: string;
  token?: string;
  cacheDir?: string;
  offline?: boolean;
  onProgress?(progress: DownloadProgress): void;
  signal?: AbortSignal;
}

export async function resolveModel(dirOrHubId: string, _options: ResolveOptions = {}): Promise<string> {
  return resolve(dirOrHubId);
}

import { show } from './check';
import { FlesError } from './errors';

/** Where to compute: `auto` is the first CUDA device where there is one, else the CPU; `cuda:1` is the second device. */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

export const DEVICE_FORMS = 'auto | cpu | cuda | cuda:N';

export function isDevice(value: unknown): value is Device {
  return typeof value === 'string' && /^(auto|cpu|cuda(:\d{1,3})?)$/.test(value);
}

/** ERR_OPTION_VALUE unless it is one. Whether it is there shows when it is used. */
export function checkDevice(value: unknown): asserts value is Device {
  if (isDevice(value)) return;
  throw new FlesError('ERR_OPTION_VALUE', `device is ${show(value)}, expected ${DEVICE_FORMS}`);
}

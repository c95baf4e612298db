/** Arithmetics of matrix products, as ops/packed_matrix.h has them. */
export const dataTypes = ['float32', 'bfloat16', 'int8', 'int16'] as const;
export type DataType = (typeof dataTypes)[number];

/** Those that a device has. */
export const dataTypesOf = (device: string): DataType[] =>
  dataTypes.filter((dtype) => dtype !== 'int16' || device.startsWith('cpu'));

/** The nearest bfloat16, ties to even. */
export function bfloat16(x: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, x);
  const bits = view.getUint32(0);
  view.setUint32(0, (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
  return view.getFloat32(0);
}

function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/** Rows of K values as whole numbers of -127..127 times the row's scale. */
function int8Rows(values: ArrayLike<number>, K: number): Float64Array {
  const out = new Float64Array(values.length);
  for (let row = 0; row < values.length; row += K) {
    let largest = 0;
    for (let k = 0; k < K; k++) largest = Math.max(largest, Math.abs(values[row + k]!));
    if (largest === 0) continue;
    const [scale, inverse] = [Math.fround(largest / 127), Math.fround(127 / largest)];
    for (let k = 0; k < K; k++) out[row + k] = roundHalfEven(Math.fround(values[row + k]! * inverse)) * scale;
  }
  return out;
}

/** Rows of K values as whole numbers times the row's scale: their norm, rounded up to five bits, / 32767. */
function int16Rows(values: ArrayLike<number>, K: number): Float64Array {
  const out = new Float64Array(values.length);
  const view = new DataView(new ArrayBuffer(4));
  for (let row = 0; row < values.length; row += K) {
    let squares = 0;
    for (let k = 0; k < K; k++) squares += values[row + k]! ** 2;
    if (squares === 0) continue;
    view.setFloat32(0, Math.sqrt(squares));
    view.setUint32(0, (view.getUint32(0) + 0x7ffff) & 0xfff80000);
    const bound = view.getFloat32(0);
    const [scale, inverse] = [Math.fround(bound / 32767), Math.fround(32767 / bound)];
    for (let k = 0; k < K; k++) out[row + k] = roundHalfEven(Math.fround(values[row + k]! * inverse)) * scale;
  }
  return out;
}

/** A matrix of rows of K values as a product of this type multiplies it. */
export function asMultiplied(dtype: DataType, values: ArrayLike<number>, K: number): ArrayLike<number> {
  if (dtype === 'bfloat16') return Float64Array.from(values, bfloat16);
  if (dtype === 'int16') return int16Rows(values, K);
  return dtype === 'int8' ? int8Rows(values, K) : values;
}

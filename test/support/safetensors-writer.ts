import { writeFileSync } from 'node:fs';

/** A tensor to write: values by index, so that any shape can be filled without a list. */
export interface TensorData {
  dtype: 'F32' | 'F16' | 'BF16' | 'I64' | 'U8' | 'F64';
  shape: number[];
  /** Small integers and halves of them are exact in every type. Default: all zero. */
  value?: (index: number) => number;
}

const BYTES = { F32: 4, F16: 2, BF16: 2, I64: 8, U8: 1, F64: 8 };

/** The bytes of a safetensors file: 8 bytes of length, the JSON header, the tensors in the order given. */
export function safetensors(tensors: Record<string, TensorData>, metadata?: Record<string, string>): Buffer {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  const data: Buffer[] = [];
  let end = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    const bytes = encode(tensor);
    header[name] = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [end, end + bytes.length] };
    data.push(bytes);
    end += bytes.length;
  }
  return withHeader(JSON.stringify(header), Buffer.concat(data));
}

/** A file of any header text and data, true or not. */
export function withHeader(header: string, data: Uint8Array, headerBytes = BigInt(Buffer.byteLength(header))): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerBytes);
  return Buffer.concat([length, Buffer.from(header), data]);
}

export function writeSafetensors(path: string, tensors: Record<string, TensorData>, metadata?: Record<string, string>) {
  writeFileSync(path, safetensors(tensors, metadata));
}

function encode({ dtype, shape, value = () => 0 }: TensorData): Buffer {
  const elements = shape.reduce((product, size) => product * size, 1);
  const bytes = Buffer.alloc(elements * BYTES[dtype]);
  for (let i = 0; i < elements; i++) {
    const at = i * BYTES[dtype];
    const x = value(i);
    if (dtype === 'F32') bytes.writeFloatLE(x, at);
    else if (dtype === 'F64') bytes.writeDoubleLE(x, at);
    else if (dtype === 'I64') bytes.writeBigInt64LE(BigInt(x), at);
    else if (dtype === 'U8') bytes.writeUInt8(x, at);
    else bytes.writeUInt16LE(dtype === 'BF16' ? bfloat16(x) : float16(x), at);
  }
  return bytes;
}

/** The upper half of the float32, cut off. */
function bfloat16(x: number): number {
  const word = Buffer.alloc(4);
  word.writeFloatLE(x);
  return word.readUInt16LE(2);
}

/** Normal numbers only, cut off. */
function float16(x: number): number {
  const word = Buffer.alloc(4);
  word.writeFloatLE(x);
  const bits = word.readUInt32LE();
  const exponent = ((bits >>> 23) & 255) - 127 + 15;
  return x === 0 ? 0 : ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 1023);
}

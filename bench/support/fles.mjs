// The built package, and its native core beneath the public names.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
export const fles = require('../../dist/index.js');
export const { native } = require('../../dist/native.js');

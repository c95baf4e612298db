// The install script: uses a prebuilt addon where one loads, else compiles it.
import { join } from 'node:path';
import { require, root, run } from './tools.mjs';

function loads() {
  try {
    require('node-gyp-build')(root);
    return true;
  } catch {
    return false;
  }
}

if (!loads()) process.exit(run(process.execPath, [join(root, 'scripts/build-native.mjs')]));

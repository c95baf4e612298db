declare module 'node-gyp-build' {
  /** Loads the addon of the package in `directory`: build/Release, else prebuilds/<platform>-<arch>. */
  export default function load(directory: string): unknown;
}

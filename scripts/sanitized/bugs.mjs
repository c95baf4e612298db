// Bugs of encoder and trainer as wholes that test-sanitized.mjs plants, each in a copy of its file: the text `find`,
// which must be there once, becomes `put`. `tests` is GoogleTest's filter of what shows it, `seenBy` every means of
// test-sanitized.mjs that must see it.
const TRAINS = '*TwentySteps*/float32';
const THREADS = '*EncodesOnSeveralThreads';
const ENCODES = '*EncodesLikeTheCpu';

export const BUGS = [
  {
    name: 'a download does not wait for the stream of the ops',
    file: 'cuda/device.cpp',
    find: '  check(cudaStreamWaitEvent(downloads_.get(), event, 0), "downloading");\n',
    put: '',
    tests: ENCODES,
    seenBy: ['lazy'],
  },
  {
    name: 'an upload fills staging memory that is yet to be copied',
    file: 'cuda/device.cpp',
    find: '    check(cudaEventSynchronize(copied_[piece_].get()), "uploading");\n',
    put: '',
    tests: TRAINS,
    seenBy: ['lazy'],
  },
  {
    name: 'a download does not wait for its bytes',
    file: 'cuda/device.cpp',
    find: '    check(cudaEventSynchronize(arrived_[last % 2].get()), "downloading");\n',
    put: '',
    tests: ENCODES,
    seenBy: ['lazy'],
  },
  {
    name: 'the results of a batch are taken for those of the next while they are collected',
    file: 'cpp/model/encoder.cpp',
    find: '  free->taken = true;\n',
    put: '',
    tests: '*TwoBatchesUnderWay',
    seenBy: ['lazy'],
  },
  {
    name: 'a kernel of the backward pass lacks its barrier',
    file: 'cuda/layernorm_backward.cu',
    find: '  }\n  __syncthreads();\n',
    put: '  }\n',
    tests: TRAINS,
    seenBy: ['random'],
  },
  {
    name: 'the offsets of an encoded batch are one text short',
    file: 'cpp/model/encoder.cpp',
    find: 'results->offsets.reserve(backend_, static_cast<size_t>(B) + 3)',
    put: 'results->offsets.reserve(backend_, static_cast<size_t>(B) + 2)',
    tests: ENCODES,
    seenBy: ['address'],
  },
  {
    name: 'the memory of what training keeps is one token short',
    file: 'cpp/train/network.cpp',
    find: 'arrange(nullptr, T))',
    put: 'arrange(nullptr, T - 1))',
    tests: TRAINS,
    seenBy: ['address'],
  },
  {
    name: 'two uploads share the staging memory',
    file: 'cuda/device.cpp',
    find: 'void Device::upload(void* to, const void* from_host, size_t bytes) {\n  const std::scoped_lock held(one_op_);\n',
    put: 'void Device::upload(void* to, const void* from_host, size_t bytes) {\n',
    tests: THREADS,
    seenBy: ['race on cuda'],
  },
  {
    name: 'two calls of an encoder run at once',
    file: 'cpp/model/encoder.cpp',
    find: '  const std::scoped_lock held(one_call_);\n  const Parameters& p = parameters_;\n',
    put: '  const Parameters& p = parameters_;\n',
    tests: THREADS,
    seenBy: ['race on cpu'],
  },
  {
    name: 'two products share their scratch memory',
    file: 'cpp/cpu/linear.cpp',
    find: '  const std::scoped_lock held(state.one_op);\n',
    put: '',
    tests: THREADS,
    seenBy: ['race on cpu'],
  },
  {
    name: 'two threads of the pool add to one gradient',
    file: 'cpp/cpu/embedding_backward.cpp',
    find: '    while (first > 0 && first < last && word(first) == word(first - 1)) ++first;\n',
    put: '',
    tests: TRAINS,
    seenBy: ['race on cpu'],
  },
];

/** How many places the text of a source has for a bug: one, or the bug is of code that is gone. */
export const placesOf = (bug, text) => text.split(bug.find).length - 1;

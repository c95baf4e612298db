#!/usr/bin/env bash
# What is to be known of the CUDA backend on a machine with a GPU: builds it, checks every op against the CPU, looks for
# faults with compute-sanitizer, runs the test suite on the device, and times every op, a batch of the encoder and a training
# step at the sizes of BERT-base, each beside what the roofline model predicts. Writes one JSON file.
#
#   scripts/gpu-check.sh [--output FILE] [--device N]
#   scripts/gpu-check.sh --emulated            the same on the CPU, to try the script itself; its times mean nothing
#
# Needs nvcc (CUDACXX or PATH), cmake and a C++ compiler. compute-sanitizer and Node (with npm's packages installed, or a
# network) are used where they are found. Without Node there is no test suite, and fles-cuda-check times the ops alone, without
# predictions. Ends with 1 when anything failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

output=gpu-check.json device=0 emulated=OFF build=build-gpu library=fles-cuda.so tiny=()
while [ $# -gt 0 ]; do
  case $1 in
    --output) output=$2 && shift 2 ;;
    --device) device=$2 && shift 2 ;;
    --emulated) emulated=ON build=build-gpu-emulated library=fles-cuda-emulated.so tiny=(--tiny) && shift ;;
    *) echo "error: ERR_USAGE unknown option $1; see the head of $0" >&2 && exit 2 ;;
  esac
done

# The number of the device as CUDA_VISIBLE_DEVICES and nvidia-smi count.
export CUDA_DEVICE_ORDER=PCI_BUS_ID
IFS=, read -ra visible <<<"${CUDA_VISIBLE_DEVICES:-}"
physical=${visible[device]:-$device}

failed=()
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# step NAME COMMAND...: runs it and remembers whether it failed.
step() {
  local name=$1 start=$SECONDS status=ok
  shift
  echo "=== $name"
  "$@" || { status=failed && failed+=("$name"); }
  echo "=== $name: $status in $((SECONDS - start)) s"
  printf '%s{"name": "%s", "status": "%s", "seconds": %d}' "${steps:+, }" "$name" "$status" $((SECONDS - start)) >>"$results/steps"
  steps=some
}
steps=

compile() {
  local cuda=()
  [ -n "${CUDACXX:-}" ] && cuda=("-DCMAKE_CUDA_COMPILER=$CUDACXX")
  cmake -S cuda -B "$build" -DCMAKE_BUILD_TYPE=Release -DFLES_CUDA_CHECK=ON "-DFLES_CUDA_EMULATED=$emulated" ${cuda[@]+"${cuda[@]}"} &&
    cmake --build "$build" --parallel
}

check() { # TF32 NAME OPTIONS...: every op; its JSON is $results/NAME
  local tf32=$1 name=$2
  shift 2
  FLES_TF32=$tf32 "$build/fles-cuda-check" "$build/$library" --device "$device" --json "$results/$name" "$@"
}

sanitize() { # TOOL
  FLES_TF32=1 compute-sanitizer --tool "$1" --error-exitcode 1 "$build/fles-cuda-check" "$build/$library" --device "$device"
}

setup() {
  [ -d node_modules ] || npm ci --ignore-scripts || return 1
  node scripts/setup.mjs
}

suite() {
  FLES_CUDA_LIBRARY="$PWD/$build/$library" FLES_TF32=0 CUDA_VISIBLE_DEVICES="$physical" npx vitest run test/ops \
    test/cuda/training.test.ts test/cuda/tf32.test.ts test/train/gradients.test.ts test/encode/parity.test.ts -t cuda --reporter=default --reporter=json \
    --outputFile.json="$results/suite.json"
  local status=$?
  node -e 'const { numPassedTests: passed, numFailedTests: failed, testResults } = require(process.argv[1]);
    const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
    const failures = tests.filter(({ status }) => status === "failed").map(({ fullName }) => fullName);
    console.log(JSON.stringify({ passed, failed, failures }));' "$results/suite.json" >"$results/suite" || rm -f "$results/suite"
  return $status
}

benchmark() {
  FLES_CUDA_LIBRARY="$PWD/$build/$library" FLES_TF32=1 npm run -s bench -- --device "cuda:$device" \
    --json "$results/benchmark" ${tiny[@]+"${tiny[@]}"}
}

step "build" compile
if [ ${#failed[@]} = 0 ]; then
  step "ops, exact float32" check 0 exact
  step "ops, TF32" check 1 tf32
  if [ "$emulated" = OFF ] && command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck synccheck initcheck; do step "compute-sanitizer $tool" sanitize "$tool"; done
  fi
  if command -v node >/dev/null; then
    step "setup of Node" setup
    step "test suite" suite
    step "benchmark" benchmark
  fi
  # Where the benchmark gave nothing, BERT-base or, as that takes hours in emulation, tiny sizes.
  [ -s "$results/benchmark" ] || step "times of the ops" check 1 times --time ${tiny[@]+"${tiny[@]}"}
fi

predictions="beside each time of the benchmark"
[ -s "$results/benchmark" ] || predictions="none: they need Node, and the benchmark did not run; the times are those of fles-cuda-check alone"
gpu=$(command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,power.limit --format=csv,noheader -i "$physical" || true)
{
  printf '{"command": "scripts/gpu-check.sh", "date": "%s", "commit": "%s", "gpu": "%s", "emulated": %s,\n "predictions": "%s",\n "steps": [%s]' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(git rev-parse HEAD 2>/dev/null || true)" "$gpu" \
    "$([ "$emulated" = ON ] && echo true || echo false)" "$predictions" "$(cat "$results/steps")"
  for name in exact tf32 suite benchmark times; do
    [ -s "$results/$name" ] && printf ',\n "%s": %s' "$name" "$(cat "$results/$name")"
  done
  printf '}\n'
} >"$output.tmp"
mv "$output.tmp" "$output"
echo "=== $output written; ${#failed[@]} steps failed ${failed[*]:-}"
[ ${#failed[@]} = 0 ]

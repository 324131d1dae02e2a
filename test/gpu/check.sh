#!/bin/sh
# Checks the kernels for GPUs on a GPU of this machine, and measures them. Needs CMake, a C++ compiler,
# nvcc and a driver that knows this nvcc's CUDA; neither Node nor a network.
#   sh test/gpu/check.sh [--device N] [--layers N]
# --layers: of the decoder that is measured; the default, 40, needs about 22 GB of the GPU's memory.
set -eu
cd "$(dirname "$0")/../.."

device=0
layers=40
while [ $# -gt 0 ]; do
  case "$1:${2-}" in
    --device:[0-9]*) device=$2; shift 2 ;;
    --layers:[0-9]*) layers=$2; shift 2 ;;
    *) echo "usage: check.sh [--device N] [--layers N]" >&2; exit 2 ;;
  esac
done

for program in cmake nvcc nvidia-smi; do
  command -v $program >/dev/null || {
    echo "$program is not installed: this check needs a machine with an NVIDIA GPU and the CUDA toolkit" >&2
    exit 1
  }
done

query() { nvidia-smi --id="$device" --query-gpu="$1" --format=csv,noheader | head -n 1; }
card=$(query name) || { echo "no GPU $device: $card" >&2; exit 1; }
capability=$(query compute_cap | tr -d .)
# Instructions of Hopper alone belong to the architecture 90a.
[ "$capability" != 90 ] || capability=90a

folder=build/gpu
log=$folder/check.log
mkdir -p $folder
echo "$card, driver $(query driver_version), CUDA $(nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')"

# A line of the table: what was done, its outcome, and seconds.
row() { printf '%-50s %-28s %6s s\n' "$1" "$2" "$3"; }
failed=0
step() {
  title=$1
  shift
  begin=$(date +%s)
  if "$@" >$log.part 2>&1; then outcome=passed; else outcome=FAILED; failed=1; fi
  counts=$(sed -n 's/.*test cases: *\([0-9]*\) | *\([0-9]*\) passed | *\([0-9]*\) failed.*/\2 of \1 passed/p' $log.part | tail -n 1)
  { echo "== $title"; cat $log.part; } >>$log
  row "$title" "$outcome${counts:+, $counts}" $(($(date +%s) - begin))
}

: >$log
step 'built for this GPU' sh -c "cmake -S native -B $folder -DCMAKE_BUILD_TYPE=Release \
  -DAUTOGLM_CUDA_ARCHITECTURES=$capability && cmake --build $folder --parallel --target gpu_test gpu_bench"
if [ $failed -eq 0 ]; then
  export CUDA_VISIBLE_DEVICES="$device"
  step 'operations against the reference, and models' $folder/gpu_test --no-colors
  if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
      step "compute-sanitizer, $tool" compute-sanitizer --tool $tool --error-exitcode 1 \
        $folder/gpu_test --no-colors --source-file='*_ops_test.cc'
    done
  else
    row 'compute-sanitizer' 'skipped: not installed' 0
  fi
  $folder/gpu_bench --layers "$layers" | tail -n +2 || failed=1
fi
[ $failed -eq 0 ] || { echo "failed; what was printed stands in $log" >&2; exit 1; }

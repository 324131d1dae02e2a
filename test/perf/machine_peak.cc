#include "machine_peak.h"

#include <immintrin.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "kernels/amx/tiles.h"
#include "kernels/amx_support.h"
#include "large_buffer.h"

namespace autoglm::perf {
namespace {

using Clock = std::chrono::steady_clock;

volatile double g_sink;  // keeps measured loops from being removed

constexpr size_t kReadBytes = size_t{512} << 20;

// Number of sums that are added at the same time: with one, each addition would wait for the one
// before.
constexpr size_t kVectors = 8;

// Function that reads `bytes` bytes, a multiple of 64 * kVectors.
using Reader = void (*)(const char* data, size_t bytes);

__attribute__((target("avx2"))) void ReadAvx2(const char* data, size_t bytes) {
  __m256i seen[kVectors] = {};
  for (size_t at = 0; at < bytes; at += 32 * kVectors) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      const auto* vector = reinterpret_cast<const __m256i*>(data + at + 32 * v);
      seen[v] = _mm256_or_si256(seen[v], _mm256_load_si256(vector));
    }
  }
  for (const __m256i& one : seen) g_sink = _mm256_extract_epi32(one, 0);
}

__attribute__((target("avx512f"))) void ReadAvx512(const char* data, size_t bytes) {
  __m512i seen[kVectors] = {};
  for (size_t at = 0; at < bytes; at += 64 * kVectors) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      seen[v] = _mm512_or_si512(seen[v], _mm512_load_si512(data + at + 64 * v));
    }
  }
  for (const __m512i& one : seen) g_sink = _mm512_cvtsi512_si32(one);
}

void ReadPortable(const char* data, size_t bytes) {
  const auto* values = reinterpret_cast<const uint64_t*>(data);
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes / sizeof(uint64_t); ++i) sum += values[i];
  g_sink = static_cast<double>(sum);
}

Reader WidestReader() {
  if (__builtin_cpu_supports("avx512f")) return ReadAvx512;
  return __builtin_cpu_supports("avx2") ? ReadAvx2 : ReadPortable;
}

double MeasureBytesPerSecond(int num_threads) {
  const LargeBuffer buffer(kReadBytes);
  std::memset(buffer.data(), 1, buffer.bytes());
  constexpr size_t kUnit = 64 * kVectors;
  const size_t part = buffer.bytes() / static_cast<size_t>(num_threads) / kUnit * kUnit;
  const Reader read = WidestReader();
  const double seconds = BestSeconds(num_threads, [&](int thread) {
    read(buffer.data() + static_cast<size_t>(thread) * part, part);
  });
  return static_cast<double>(part) * num_threads / seconds;
}

constexpr int64_t kSteps = 20'000'000;
// Independent, to fill the pipelines; each starts elsewhere, or the compiler would run one for all.
constexpr int kChains = 12;

__attribute__((target("avx2,fma"))) void SpinAvx2() {
  __m256 sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm256_set1_ps(static_cast<float>(c));
  const __m256 half = _mm256_set1_ps(0.5f);
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sums[c] = _mm256_fmadd_ps(sums[c], half, half);
  }
  for (const __m256& sum : sums) g_sink = _mm256_cvtss_f32(sum);
}

__attribute__((target("avx512f"))) void SpinAvx512() {
  __m512 sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_ps(static_cast<float>(c));
  const __m512 half = _mm512_set1_ps(0.5f);
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sums[c] = _mm512_fmadd_ps(sums[c], half, half);
  }
  for (const __m512& sum : sums) g_sink = _mm512_cvtss_f32(sum);
}

__attribute__((target("avx512f,avx512bf16"))) void SpinBfloat16() {
  __m512 sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_ps(static_cast<float>(c));
  const auto ones = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3f803f80));
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sums[c] = _mm512_dpbf16_ps(sums[c], ones, ones);
  }
  for (const __m512& sum : sums) g_sink = _mm512_cvtss_f32(sum);
}

__attribute__((target("avx512f,avx512vnni"))) void SpinInt8() {
  __m512i sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_epi32(c);
  __m512i bytes = _mm512_set1_epi8(1);
  for (int64_t i = 0; i < kSteps; ++i) {
    asm volatile("" : "+v"(bytes));  // keeps the sums from being computed once for all
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sums[c] = _mm512_dpbusd_epi32(sums[c], bytes, bytes);
  }
  for (const __m512i& sum : sums) g_sink = _mm512_cvtsi512_si32(sum);
}

// `width`: products of one instruction.
double FlopsPerSecond(int num_threads, int width, void (*spin)()) {
  const double seconds = BestSeconds(num_threads, [&](int) { spin(); });
  return 2.0 * width * kChains * static_cast<double>(kSteps) * num_threads / seconds;
}

constexpr int64_t kTileSteps = 2'000'000;

// add_all: adds to four tiles of sums in turn.
template <typename AddAll>
double TileFlopsPerSecond(int num_threads, int products_per_sum, const AddAll& add_all) {
  using kernels::AmxTiles;
  const double seconds = BestSeconds(num_threads, [&](int) {
    kernels::TileConfig config;
    for (int tile = 0; tile < kernels::kNumTiles; ++tile) {
      config.Set(tile, kernels::kTileRows, kernels::kTileRowBytes);
    }
    AmxTiles::Configure(config);
    for (int64_t i = 0; i < kTileSteps; ++i) add_all();
    AmxTiles::Release();
  });
  const int64_t products = 4 * kernels::kTileRows * kernels::kTileColumns * products_per_sum;
  return 2.0 * static_cast<double>(products * kTileSteps) * num_threads / seconds;
}

bool HasTiles() { return kernels::RequestAmx() == kernels::AmxSupport::kAvailable; }

double MeasureFlopsPerSecond(int num_threads) {
  if (__builtin_cpu_supports("avx512f")) return FlopsPerSecond(num_threads, 16, SpinAvx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return FlopsPerSecond(num_threads, 8, SpinAvx2);
  }
  return 0.0;
}

double MeasureBfloat16(int num_threads) {
  if (HasTiles()) {
    return TileFlopsPerSecond(num_threads, 32, [] {
      kernels::AmxTiles::AddPairDots<0, 4, 6>();
      kernels::AmxTiles::AddPairDots<1, 4, 7>();
      kernels::AmxTiles::AddPairDots<2, 5, 6>();
      kernels::AmxTiles::AddPairDots<3, 5, 7>();
    });
  }
  if (!__builtin_cpu_supports("avx512bf16")) return 0.0;
  return FlopsPerSecond(num_threads, 32, SpinBfloat16);
}

double MeasureInt8(int num_threads) {
  if (HasTiles()) {
    return TileFlopsPerSecond(num_threads, 64, [] {
      kernels::AmxTiles::AddByteDots<0, 4, 6>();
      kernels::AmxTiles::AddByteDots<1, 4, 7>();
      kernels::AmxTiles::AddByteDots<2, 5, 6>();
      kernels::AmxTiles::AddByteDots<3, 5, 7>();
    });
  }
  if (!__builtin_cpu_supports("avx512vnni")) return 0.0;
  return FlopsPerSecond(num_threads, 64, SpinInt8);
}

}  // namespace

// Starts the work of all threads together: creating threads takes as long as a short measurement.
double BestSeconds(int num_threads, const std::function<void(int)>& work) {
  constexpr int kMinRuns = 5;
  constexpr double kMinSeconds = 0.25;
  double best = 0.0;
  double total = 0.0;
  for (int run = 0; run < kMinRuns || total < kMinSeconds; ++run) {
    std::atomic<int> num_waiting = num_threads;
    Clock::time_point begin;
    std::vector<std::thread> threads;
    const auto start = [&](int thread) {
      num_waiting.fetch_sub(1);
      while (num_waiting.load() > 0) _mm_pause();
      if (thread == 0) begin = Clock::now();
      work(thread);
    };
    for (int i = 1; i < num_threads; ++i) threads.emplace_back(start, i);
    start(0);
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> elapsed = Clock::now() - begin;
    if (run == 0 || elapsed.count() < best) best = elapsed.count();
    total += elapsed.count();
  }
  return best;
}

MachinePeak MeasurePeak(int num_threads) {
  return {num_threads, MeasureBytesPerSecond(num_threads), MeasureFlopsPerSecond(num_threads),
          MeasureBfloat16(num_threads), MeasureInt8(num_threads)};
}

}  // namespace autoglm::perf

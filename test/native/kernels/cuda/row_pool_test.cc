// Rows of media on their way from the row pool of an encoder to the one of a decoder, on a GPU or its
// emulator. Memory that a decoder opens is another process's: this program, which is started once more
// and runs the last case of this file.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/encoder/golden_items.h"

#if defined(AUTOGLM_SIMT_EMULATOR)
#include "simt/emulated_gpu.h"
#endif

// It is included last, because it includes doctest, whose CHECK replaces the one of base/check.h.
#include "kernels/cuda/gpu_decoder.h"

namespace autoglm {
namespace {

constexpr char kFixture[] = "glm4v-tiny";
constexpr char kSharingCase[] = "The process that shares rows with the other cases";
constexpr char kDescriptors[] = "AUTOGLM_TEST_DESCRIPTORS";
constexpr size_t kPoolBytes = size_t{256} << 10;
constexpr int64_t kHiddenSize = 32;
constexpr int64_t kNumRows = 5;
constexpr size_t kRowBytes = static_cast<size_t>(kNumRows * kHiddenSize) * sizeof(float);
// Where rows lie in the pools.
constexpr size_t kEncoderOffset = 4096 + 64;
constexpr size_t kDecoderOffset = 512;

bool ReadAll(int file, void* data, size_t bytes) {
  for (char* next = static_cast<char*>(data); bytes > 0;) {
    const ssize_t count = read(file, next, bytes);
    if (count <= 0) return false;
    next += count;
    bytes -= static_cast<size_t>(count);
  }
  return true;
}

// The rows [kNumRows, kHiddenSize] that the process shares.
std::vector<float> SharedRows() {
  std::vector<float> rows(kRowBytes / sizeof(float));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i * 7 % 31) / 16 - 1;
  return rows;
}

// A process whose row pool holds these rows.
class SharingProcess {
 public:
  SharingProcess() {
    int to_child[2];
    int from_child[2];
    REQUIRE_EQ(pipe(to_child), 0);
    REQUIRE_EQ(pipe(from_child), 0);
    hold_ = to_child[1];
    for (const int own : {hold_, from_child[0]}) REQUIRE_EQ(fcntl(own, F_SETFD, FD_CLOEXEC), 0);
    const std::string descriptors =
        std::to_string(to_child[0]) + " " + std::to_string(from_child[1]);
    setenv(kDescriptors, descriptors.c_str(), 1);
    std::string program = "native_test";
    std::string chosen = std::string("--test-case=") + kSharingCase;
    std::string unskipped = "--no-skip";
    char* const args[] = {program.data(), chosen.data(), unskipped.data(), nullptr};
    // What it prints is no output of this program.
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    REQUIRE_EQ(posix_spawn(&process_, "/proc/self/exe", &actions, nullptr, args, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(to_child[0]);
    close(from_child[1]);
    REQUIRE(ReadAll(from_child[0], handle_.data(), handle_.size()));
    close(from_child[0]);
  }
  SharingProcess(const SharingProcess&) = delete;
  SharingProcess& operator=(const SharingProcess&) = delete;
  ~SharingProcess() {
    if (process_ == 0) return;
    const int status = End();
    CHECK_EQ(status, 0);
  }

  void Kill() {
    kill(process_, SIGKILL);
    End();
  }

  const MemoryHandle& handle() const { return handle_; }

 private:
  int End() {
    close(hold_);
    int status = 0;
    waitpid(std::exchange(process_, 0), &status, 0);
    return status;
  }

  pid_t process_ = 0;
  int hold_ = -1;  // the process ends when this is closed
  MemoryHandle handle_ = {};
};

// Loads a decoder on GPUs of these numbers, with a row pool.
std::unique_ptr<Decoder> LoadWithPool(std::vector<int> ordinals) {
  DecoderConfig shape;
  shape.model_type = "glm4";
  shape.hidden_size = kHiddenSize;
  shape.num_layers = 1;
  shape.num_heads = 4;
  shape.num_kv_heads = 2;
  shape.head_dim = 16;
  shape.num_rope_pairs = 4;
  shape.intermediate_size = 256;
  shape.vocab_size = 67;
  shape.max_position_embeddings = 64;
  DecoderOptions options;
  options.random = shape;
  options.devices.clear();
  for (const int ordinal : ordinals) {
    DeviceId gpu;
    gpu.kind = DeviceKind::kCuda;
    gpu.ordinal = ordinal;
    options.devices.push_back(gpu);
  }
  options.kv_cache_bytes = 1 << 20;
  options.max_num_batched_tokens = 8;
  options.row_pool_bytes = kPoolBytes;
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, cuda::OpenCuda);
  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  return std::move(decoder.value());
}

// Returns the logits of a prompt whose tokens but the first and the last two are these rows.
std::vector<float> LogitsWith(Decoder& decoder, MediaRows media) {
  TraceRequest request;
  media.first_token = 1;
  media.num_rows = kNumRows;
  request.token_ids.assign(static_cast<size_t>(kNumRows) + 3, 7);
  for (int axis = 0; axis < 3; ++axis) {
    for (size_t i = 0; i < request.token_ids.size(); ++i) {
      request.positions.push_back(static_cast<int32_t>(i));
    }
  }
  request.media_rows = {media};
  DecoderTrace trace;
  const Status status = decoder.Trace(request, trace);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return trace.logits;
}

std::vector<float> LogitsWithHostRows(Decoder& decoder) {
  const std::vector<float> rows = SharedRows();
  return LogitsWith(decoder, {.rows = rows.data(), .bytes = kRowBytes});
}

// Copies the rows to the decoder's pool, and returns the logits with what lies there.
std::vector<float> LogitsWithPooledRows(Decoder& decoder, int64_t source) {
  const Status copied = decoder.CopyRows({.source = source,
                                          .source_offset = kEncoderOffset,
                                          .target_offset = kDecoderOffset,
                                          .bytes = kRowBytes});
  REQUIRE_MESSAGE(copied.ok(), copied.message());
  return LogitsWith(decoder, {.pool_offset = kDecoderOffset});
}

std::unique_ptr<Encoder> LoadEncoderWithPool() {
  EncoderOptions options;
  options.directory = FixturePath(kFixture);
  options.device.kind = DeviceKind::kCuda;
  options.row_pool_bytes = kPoolBytes;
  Result<std::unique_ptr<Encoder>> encoder = Encoder::Load(options, cuda::OpenCuda);
  REQUIRE_MESSAGE(encoder.ok(), encoder.status().message());
  return std::move(encoder.value());
}

TEST_CASE("A decoder reads rows of another process's GPU memory as it reads those of the host") {
  const SharingProcess other;
  const std::unique_ptr<Decoder> decoder = LoadWithPool({0});

  const Result<int64_t> source = decoder->OpenRowPool(other.handle(), kPoolBytes);

  REQUIRE_MESSAGE(source.ok(), source.status().message());
  CHECK(LogitsWithPooledRows(*decoder, source.value()) ==
        LogitsWithHostRows(*decoder));
}

TEST_CASE("Every rank of a group has the rows") {
#if defined(AUTOGLM_SIMT_EMULATOR)
  simt::Machine().num_gpus = 2;
  const std::vector<int> ordinals = {0, 1};
#else
  const std::vector<int> ordinals = {0, 0};
#endif
  {
    const SharingProcess other;
    const std::unique_ptr<Decoder> decoder = LoadWithPool(ordinals);

    const Result<int64_t> source = decoder->OpenRowPool(other.handle(), kPoolBytes);

    REQUIRE_MESSAGE(source.ok(), source.status().message());
    CHECK(LogitsWithPooledRows(*decoder, source.value()) ==
          LogitsWithHostRows(*decoder));
  }
#if defined(AUTOGLM_SIMT_EMULATOR)
  simt::Machine() = {};
#endif
}

TEST_CASE("A row pool is opened again after it was closed, and not read meanwhile") {
  const SharingProcess other;
  const std::unique_ptr<Decoder> decoder = LoadWithPool({0});
  const Result<int64_t> first = decoder->OpenRowPool(other.handle(), kPoolBytes);
  REQUIRE(first.ok());

  decoder->CloseRowPool(first.value());

  const RowCopy copy = {.source = first.value(), .source_offset = kEncoderOffset, .bytes = 4};
  CHECK_EQ(decoder->CopyRows(copy).reason(), Reason::kInvalidRequest);
  const Result<int64_t> second = decoder->OpenRowPool(other.handle(), kPoolBytes);
  REQUIRE(second.ok());
  CHECK(LogitsWithPooledRows(*decoder, second.value()) ==
        LogitsWithHostRows(*decoder));
}

TEST_CASE("Copies beyond one of the pools are refused") {
  const SharingProcess other;
  const std::unique_ptr<Decoder> decoder = LoadWithPool({0});
  const Result<int64_t> source = decoder->OpenRowPool(other.handle(), kPoolBytes);
  REQUIRE(source.ok());
  const RowCopy copy = {.source = source.value(), .bytes = 64};

  for (const size_t offset : {kPoolBytes - 32, kPoolBytes + 1}) {
    RowCopy behind = copy;
    behind.source_offset = offset;
    CHECK_EQ(decoder->CopyRows(behind).reason(), Reason::kInvalidRequest);
    behind = copy;
    behind.target_offset = offset;
    CHECK_EQ(decoder->CopyRows(behind).reason(), Reason::kInvalidRequest);
  }
}

TEST_CASE("A handle that no process has is refused, and so is that of a process that has ended") {
  SharingProcess other;
  const std::unique_ptr<Decoder> decoder = LoadWithPool({0});
  MemoryHandle unknown = other.handle();
  for (uint8_t& byte : unknown) byte ^= 0x5a;

  CHECK_EQ(decoder->OpenRowPool(unknown, kPoolBytes).status().reason(), Reason::kEngineFailed);
  other.Kill();
  CHECK_EQ(decoder->OpenRowPool(other.handle(), kPoolBytes).status().reason(),
           Reason::kEngineFailed);

  // The decoder goes on.
  LogitsWithHostRows(*decoder);
}

TEST_CASE("A process does not open its own row pool") {
  const std::unique_ptr<Encoder> encoder = LoadEncoderWithPool();
  const std::unique_ptr<Decoder> decoder = LoadWithPool({0});

  const RowPoolDescription& pool = encoder->description().row_pool;

  CHECK_EQ(decoder->OpenRowPool(pool.handle, pool.bytes).status().reason(), Reason::kEngineFailed);
  CHECK_EQ(decoder->description().reachable_devices.front(), pool.device);
}

TEST_CASE("An encoder refuses rows that are no part of its pool, and encodes the others") {
  const GoldenItems golden = ImageItems(kFixture);
  const std::unique_ptr<Encoder> encoder = LoadEncoderWithPool();
  std::vector<MediaItem> items = {golden.items[0], golden.items[0], golden.items[0]};
  items[0].pool_offset = kPoolBytes - 16;
  items[1].pool_offset = 0;

  std::vector<EncodedItem> encoded = encoder->Encode(items);

  CHECK_EQ(encoded[0].status.reason(), Reason::kInvalidRequest);
  REQUIRE(encoded[1].status.ok());
  CHECK(encoded[1].rows.empty());
  const int64_t num_rows = encoded[1].plan.num_rows;
  REQUIRE(encoder->ReadRows(0, num_rows, encoded[1]).ok());
  CHECK(encoded[1].rows == encoded[2].rows);
  CHECK_EQ(encoder->ReadRows(kPoolBytes, num_rows, encoded[1]).reason(), Reason::kInvalidRequest);
}

#if defined(AUTOGLM_SIMT_EMULATOR)

TEST_CASE("Rows that were opened stay readable when their process dies") {
  SharingProcess other;
  const std::unique_ptr<Decoder> decoder = LoadWithPool({0});
  const Result<int64_t> source = decoder->OpenRowPool(other.handle(), kPoolBytes);
  REQUIRE(source.ok());

  other.Kill();

  CHECK(LogitsWithPooledRows(*decoder, source.value()) ==
        LogitsWithHostRows(*decoder));
}

TEST_CASE("A group opens a row pool on all ranks or on none") {
  simt::Machine().num_gpus = 2;
  simt::Machine().has_peer_access = false;
  {
    const SharingProcess other;  // on GPU 0, which rank 1 cannot access
    const std::unique_ptr<Decoder> decoder = LoadWithPool({0, 1});

    const Result<int64_t> source = decoder->OpenRowPool(other.handle(), kPoolBytes);

    CHECK_NE(source.status().message().find("rank 1 of 2, cuda:1"), std::string::npos);
    CHECK(decoder->description().reachable_devices.empty());
    CHECK_EQ(decoder->CopyRows({.source = 0, .bytes = 4}).reason(), Reason::kInvalidRequest);
    LogitsWithHostRows(*decoder);
  }
  simt::Machine() = {};
}

#endif

// Shares rows, tells where they are, and stays until its parent has read enough.
TEST_CASE("The process that shares rows with the other cases" * doctest::skip()) {
  const char* const descriptors = std::getenv(kDescriptors);
  REQUIRE(descriptors != nullptr);
  char* next = nullptr;
  const int from_parent = static_cast<int>(std::strtol(descriptors, &next, 10));
  const int to_parent = static_cast<int>(std::strtol(next, nullptr, 10));
  DeviceId gpu;
  gpu.kind = DeviceKind::kCuda;
  Result<Device> opened = cuda::OpenCuda(gpu);
  REQUIRE_MESSAGE(opened.ok(), opened.status().message());
  const Device& device = opened.value();
  const Result<SharedDeviceMemory> shared =
      device.ops->allocate_shared(*device.context, kPoolBytes);
  REQUIRE_MESSAGE(shared.ok(), shared.status().message());
  const std::vector<float> rows = SharedRows();
  device.ops->copy_in(*device.context,
                      {.source = rows.data(),
                       .bytes = kRowBytes,
                       .target = shared.value().memory.as<char>() + kEncoderOffset});
  device.ops->finish(*device.context);

  const MemoryHandle& handle = shared.value().handle;
  REQUIRE_EQ(write(to_parent, handle.data(), handle.size()), static_cast<ssize_t>(handle.size()));
  char end = 0;
  CHECK_EQ(read(from_parent, &end, 1), 0);
}

}  // namespace
}  // namespace autoglm

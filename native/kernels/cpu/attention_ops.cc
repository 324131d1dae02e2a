#include <algorithm>
#include <cstring>

#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"

namespace autoglm::cpu {
namespace {

// The kernels compute the widest head that ops.h promises to models.
static_assert(kMaxHeadDim <= kernels::kMaxHeadDim);

// Rows of a full task, a row being a query of one head; a kernel shares each block of keys among
// them.
constexpr int64_t kRowsPerTask = 512;
// Of bidirectional attention, whose keys lie far apart and in float32: more rows share what is packed.
constexpr int64_t kRowsPerFullTask = 2048;
constexpr int64_t kTasksPerThread = 4;
// Tokens whose keys and values a sequence needs first.
constexpr int64_t kFirstTokens = 64;

// The keys, or the values, of one KV head in one block of a cache.
class HeadBlock {
 public:
  HeadBlock(const KvCacheView& cache, void* plane, int64_t block, int64_t head)
      : cache_(cache),
        data_(static_cast<char*>(plane) + block * cache.BlockBytes() + head * cache.HeadBytes()) {}

  char* data() const { return data_; }
  // Asks for the rows of the first `count` tokens of `block`, counted from this one.
  void Fetch(int64_t block, int64_t count) const {
    constexpr int64_t kLineBytes = 64;
    const char* const rows = data_ + block * cache_.BlockBytes();
    const int64_t bytes = count * cache_.head_dim * KvDtypeBytes(cache_.dtype);
    for (int64_t i = 0; i < bytes; i += kLineBytes) __builtin_prefetch(rows + i, 0, 2);
  }
  // [block_size]; null if the rows of the cache have no scales.
  float* scales() const {
    if (cache_.dtype != KvDtype::kInt8) return nullptr;
    return reinterpret_cast<float*>(data_ + cache_.NumberBytes());
  }

  // Writes the row [head_dim] of the token at `offset` in the block.
  void Store(const kernels::ConvertKernels& convert, const float* row, int64_t offset) const {
    char* target = data_ + offset * cache_.head_dim * KvDtypeBytes(cache_.dtype);
    switch (cache_.dtype) {
      case KvDtype::kFloat32:
        std::memcpy(target, row, static_cast<size_t>(cache_.head_dim) * sizeof(float));
        break;
      case KvDtype::kBfloat16:
        convert.float32_to_bfloat16(row, reinterpret_cast<uint16_t*>(target), cache_.head_dim);
        break;
      case KvDtype::kInt8:
        scales()[offset] = convert.float32_to_uint8(row, reinterpret_cast<uint8_t*>(target),
                                                    cache_.head_dim);
        break;
    }
  }

 private:
  const KvCacheView& cache_;
  char* data_;
};

void StoreKv(OpsContext& context, const StoreKvOp& op) {
  const KvCacheView& cache = op.cache;
  CHECK(op.keys.columns == cache.num_kv_heads * cache.head_dim);
  CHECK(op.values.columns == op.keys.columns && op.values.rows == op.keys.rows);
  CpuContext& cpu = Cpu(context);

  const auto store = [&](const float* row, void* plane, int64_t slot) {
    for (int64_t head = 0; head < cache.num_kv_heads; ++head) {
      HeadBlock(cache, plane, slot / cache.block_size, head)
          .Store(cpu.kernels().convert, row + head * cache.head_dim, slot % cache.block_size);
    }
  };
  cpu.ForRows(op.keys.rows, 2 * op.keys.columns, [&](int64_t begin, int64_t count) {
    for (int64_t row = begin; row < begin + count; ++row) {
      if (op.slots[row] < 0) continue;
      store(op.keys.data + row * op.keys.stride, cache.keys, op.slots[row]);
      store(op.values.data + row * op.values.stride, cache.values, op.slots[row]);
    }
  });
}

// Query tokens begin..end - 1 of the step, for some or all of the query heads that share a KV head.
struct PagedTask {
  int64_t begin;
  int64_t end;
  int64_t kv_head;  // the first
  int64_t num_kv_heads;
  int64_t first_head;  // of those that share the KV head
  int64_t num_heads;   // of each KV head
};

// Asks for what attention reads first of a sequence, whose kernel could not hide that it comes late.
void FetchFirstKeys(const PagedAttentionOp& op, int64_t sequence, const HeadBlock& keys,
                    const HeadBlock& values) {
  const int32_t* table = op.block_tables + sequence * op.max_blocks_per_sequence;
  const int64_t num_tokens = std::min<int64_t>(op.context_lens[sequence], kFirstTokens);
  for (int64_t token = 0; token < num_tokens; token += op.cache.block_size) {
    const int64_t count = std::min(num_tokens - token, op.cache.block_size);
    keys.Fetch(table[token / op.cache.block_size], count);
    values.Fetch(table[token / op.cache.block_size], count);
  }
}

// Computes queries begin..end - 1 of a sequence for the task's heads of one KV head.
void AttendSequence(const CpuContext& cpu, const PagedAttentionOp& op, const PagedTask& task,
                    int64_t sequence, int64_t kv_head, int thread) {
  const KvCacheView& cache = op.cache;
  const HeadBlock keys(cache, cache.keys, 0, kv_head);
  const HeadBlock values(cache, cache.values, 0, kv_head);
  const int64_t query_begin = op.query_starts[sequence];
  const int64_t query_end = op.query_starts[sequence + 1];
  const int64_t begin = std::max(task.begin, query_begin);
  const int64_t cached = op.context_lens[sequence] - (query_end - query_begin);
  const int64_t first_head = kv_head * (op.num_heads / cache.num_kv_heads) + task.first_head;
  cpu.kernels().attention.paged(
      {.q = op.q.data + begin * op.q.stride + first_head * cache.head_dim,
       .q_stride = op.q.stride,
       .num_queries = std::min(task.end, query_end) - begin,
       .num_heads = task.num_heads,
       .head_dim = cache.head_dim,
       .first_position = cached + begin - query_begin,
       .kv_dtype = cache.dtype,
       .keys = keys.data(),
       .values = values.data(),
       .block_stride = cache.BlockBytes() / KvDtypeBytes(cache.dtype),
       .token_stride = cache.head_dim,
       .block_size = cache.block_size,
       .key_scales = keys.scales(),
       .value_scales = values.scales(),
       .scale_stride = cache.BlockBytes() / int64_t{sizeof(float)},
       .block_table = op.block_tables + sequence * op.max_blocks_per_sequence,
       .scale = op.scale,
       .out = op.out.data + begin * op.out.stride + first_head * cache.head_dim,
       .out_stride = op.out.stride,
       .scratch = cpu.AttentionScratch(thread)});
}

// Runs a task sequence by sequence, and of each KV head by KV head, as they lie in memory.
void AttendPaged(const CpuContext& cpu, const PagedAttentionOp& op, const PagedTask& task,
                 int thread) {
  const KvCacheView& cache = op.cache;
  const auto fetch_first_keys = [&](int64_t sequence, int64_t kv_head) {
    FetchFirstKeys(op, sequence, HeadBlock(cache, cache.keys, 0, kv_head),
                   HeadBlock(cache, cache.values, 0, kv_head));
  };
  const int32_t* starts_end = op.query_starts + op.num_sequences + 1;
  int64_t sequence =
      std::upper_bound(op.query_starts, starts_end, static_cast<int32_t>(task.begin)) -
      op.query_starts - 1;
  const int64_t heads_end = task.kv_head + task.num_kv_heads;
  for (; sequence < op.num_sequences && op.query_starts[sequence] < task.end; ++sequence) {
    if (op.query_starts[sequence + 1] == op.query_starts[sequence]) continue;
    for (int64_t kv_head = task.kv_head; kv_head < heads_end; ++kv_head) {
      if (kv_head + 1 < heads_end) {
        fetch_first_keys(sequence, kv_head + 1);
      } else if (op.query_starts[sequence + 1] < task.end) {
        fetch_first_keys(sequence + 1, task.kv_head);
      }
      AttendSequence(cpu, op, task, sequence, kv_head, thread);
    }
  }
}

void PagedAttention(OpsContext& context, const PagedAttentionOp& op) {
  const KvCacheView& cache = op.cache;
  CHECK(op.q.columns == op.num_heads * cache.head_dim && op.num_heads % cache.num_kv_heads == 0);
  CHECK(op.out.columns == op.q.columns && op.out.rows == op.q.rows);
  CHECK(cache.head_dim <= kernels::kMaxHeadDim);
  CpuContext& cpu = Cpu(context);

  // There must be enough tasks to keep every thread busy: a task gets fewer queries, and where threads
  // would have none, fewer heads, although the keys are then read once more. Where sequences suffice, a
  // task takes all KV heads of its own: what the processor reads ahead of a head is then the next one.
  const int64_t num_threads = cpu.threads().num_threads();
  const int64_t wanted_tasks = kTasksPerThread * num_threads;
  const int64_t group = op.num_heads / cache.num_kv_heads;
  const int64_t kv_heads_per_task = op.num_sequences >= wanted_tasks ? cache.num_kv_heads : 1;
  const int64_t num_head_groups = cache.num_kv_heads / kv_heads_per_task;
  const int64_t queries_per_task =
      std::clamp<int64_t>(op.q.rows * num_head_groups / wanted_tasks, 1,
                          std::max<int64_t>(kRowsPerTask / group, 1));
  const int64_t num_chunks = DivideUp(op.q.rows, queries_per_task);
  const int64_t wanted_splits = DivideUp(num_threads, num_chunks * num_head_groups);
  const int64_t heads_per_task = DivideUp(group, std::min(wanted_splits, group));
  const int64_t num_splits = DivideUp(group, heads_per_task);

  const int64_t num_tasks = num_chunks * num_head_groups * num_splits;
  cpu.threads().ParallelFor(num_tasks, [&](int64_t index, int thread) {
    const int64_t split = index % num_splits;
    const int64_t begin = index / num_splits / num_head_groups * queries_per_task;
    AttendPaged(cpu, op,
                {.begin = begin,
                 .end = std::min(begin + queries_per_task, op.q.rows),
                 .kv_head = index / num_splits % num_head_groups * kv_heads_per_task,
                 .num_kv_heads = kv_heads_per_task,
                 .first_head = split * heads_per_task,
                 .num_heads = std::min(heads_per_task, group - split * heads_per_task)},
                thread);
  });
}

void FullAttention(OpsContext& context, const FullAttentionOp& op) {
  CHECK(op.num_heads > 0 && op.q.columns % op.num_heads == 0);
  CHECK(op.keys.columns == op.q.columns && op.values.columns == op.q.columns);
  CHECK(op.keys.stride == op.values.stride && op.keys.rows == op.values.rows);
  CHECK(op.relative_q.data == nullptr || op.relative_q.stride == op.q.stride);
  const int64_t head_dim = op.q.columns / op.num_heads;
  CHECK(head_dim <= kernels::kMaxHeadDim);
  CpuContext& cpu = Cpu(context);
  const bool has_relative = op.relative_q.data != nullptr;

  const int64_t wanted_tasks = kTasksPerThread * cpu.threads().num_threads();
  const int64_t queries_per_task =
      std::clamp<int64_t>(op.q.rows * op.num_heads / wanted_tasks, 1, kRowsPerFullTask);
  const int64_t num_chunks = DivideUp(op.q.rows, queries_per_task);
  cpu.threads().ParallelFor(num_chunks * op.num_heads, [&](int64_t index, int thread) {
    const int64_t begin = index % num_chunks * queries_per_task;
    const int64_t column = index / num_chunks * head_dim;
    const int64_t q_offset = begin * op.q.stride + column;
    cpu.kernels().attention.full(
        {.q = op.q.data + q_offset,
         .q_stride = op.q.stride,
         .num_queries = std::min(queries_per_task, op.q.rows - begin),
         .keys = op.keys.data + column,
         .values = op.values.data + column,
         .kv_stride = op.keys.stride,
         .num_keys = op.keys.rows,
         .head_dim = head_dim,
         .scale = op.scale,
         .relative_q = has_relative ? op.relative_q.data + q_offset : nullptr,
         .relative_keys = has_relative ? op.relative_keys + column : nullptr,
         .relative_stride = op.relative_stride,
         .first_query = begin,
         .product_dtype = op.product_dtype,
         .out = op.out.data + begin * op.out.stride + column,
         .out_stride = op.out.stride,
         .scratch = cpu.AttentionScratch(thread)});
  });
}

}  // namespace

void SetAttentionOps(Ops& ops) {
  ops.store_kv = StoreKv;
  ops.paged_attention = PagedAttention;
  ops.full_attention = FullAttention;
}

}  // namespace autoglm::cpu

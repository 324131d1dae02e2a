#ifndef AUTOGLM_KERNELS_OPS_H_
#define AUTOGLM_KERNELS_OPS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/kv_dtype.h"
#include "base/status.h"
#include "base/tensor_view.h"
#include "base/weight_format.h"
#include "device/device_id.h"
#include "device/memory.h"
#include "device/thread_pool.h"
#include "kernels/image_kernels.h"
#include "kernels/sampling/token_choice.h"

// The operations that models call: one indirect call per operation over the tensors of a device.
// Each kind of device supplies them as a table. A CPU divides an operation among its threads and
// calls the kernels of its level. All pointers in the arguments are memory of the device unless
// they say "host"; calls on one device come from one thread and run in order.
//
// Every operation keeps the contract of kernels.h: a row's bits do not depend on its neighbours,
// nor on the number of threads. Shapes that do not fit together end the process by CHECK.

namespace autoglm {

// Widest head that attention computes on every device.
inline constexpr int64_t kMaxHeadDim = 256;

struct GroupRank;

// State of one device as its operations see it: threads and kernels of a CPU, stream of a GPU.
class OpsContext {
 public:
  virtual ~OpsContext() = default;
  // Returns the threads of the host beside the device, for work such as preprocessing.
  virtual ThreadPool& threads() = 0;
  // Returns what one of these threads computes of pictures.
  virtual const kernels::ImageKernels& image_kernels() const = 0;

  // The device's place in its group (kernels/group/device_group.h), which outlives the context; null:
  // it is alone. join_group sets it.
  const GroupRank* group_rank = nullptr;
};

struct WeightShape {
  WeightFormat format = {};
  int64_t columns = 0;  // output width
  int64_t depth = 0;    // input width
};

// A weight in the layout that its device multiplies fastest, its scales among the values. pack
// writes it and gemm reads it; no other code depends on the layout.
struct PackedMatrix {
  WeightShape shape;
  const void* packed = nullptr;
};

// Integers of a weight's rows in host memory, one a byte, or fp8, and what they are multiplied with.
struct IntegerRows {
  const int8_t* values = nullptr;       // [rows, depth]
  const float* scales = nullptr;        // [rows, groups], exact in the format's scale type
  const int8_t* zero_points = nullptr;  // [rows, groups] if the format has them
};

// Rows of a weight in host memory, dense. Floats become integers where the packed format has them;
// integers are of that format.
struct WeightRows {
  const void* data;  // [rows, depth] of dtype; null: the rows are integers
  Dtype dtype;
  int64_t rows;
  IntegerRows integers = {};
  bool is_mapped = false;  // data are pages of a file, which pack drops once it has read them
};

struct PackOp {
  // host; become consecutive output columns. All of them are floats, or all integers.
  std::span<const WeightRows> sources;
  WeightShape shape;                    // of the packed weight
  void* packed;                         // packed_bytes(shape) bytes
};

struct UploadOp {
  TensorView source;  // host
  Dtype dtype;        // values are converted to this type
  void* target;       // [source.NumElements()] of dtype
};

struct CopyInOp {
  const void* source;  // host
  size_t bytes;
  void* target;
};

struct CopyOp {
  const void* source;  // of the device, or opened
  size_t bytes;
  void* target;
};

struct GatherOp {
  const void* table;  // [num_rows, columns] of dtype
  Dtype dtype;
  int64_t num_rows;
  const int32_t* rows;  // [y.rows], each in 0..num_rows - 1
  MatrixView y;
};

struct GemmOp {
  MatrixView x;            // [rows, depth]
  PackedMatrix weight;
  const float* bias;       // [columns] or null
  Dtype activation_dtype;  // bfloat16 rounds x first; a weight may quantize x instead
  MatrixView y;            // [rows, columns]
};

// y = (silu(gate) * up) * transpose(down) + down_bias, where gate and up are the halves of x *
// transpose(gate_up) + gate_up_bias.
struct GatedMlpOp {
  MatrixView x;               // [rows, depth of gate_up]; may be y
  PackedMatrix gate_up;       // columns of gate, then of up
  const float* gate_up_bias;  // [columns of gate_up] or null
  PackedMatrix down;
  const float* down_bias;   // [columns of down] or null
  Dtype activation_dtype;   // as in GemmOp, of both products
  MatrixView gate_up_rows;  // [rows, columns of gate_up], dense; may be overwritten
  MatrixView gated;         // [rows, depth of down], dense; may be overwritten
  MatrixView y;             // [rows, columns of down]
};

struct NormOp {
  MatrixView x;
  const float* weight;  // [columns]
  const float* bias;    // [columns] or null; of layer_norm
  float epsilon;
  MatrixView y;
};

enum class Activation { kSilu, kGeluErf, kRelu, kSigmoid };

struct ActivationOp {
  Activation activation;
  MatrixView x;  // dense
  MatrixView y;  // dense; may be x
};

struct GatedOp {
  MatrixView x;  // [rows, 2 * columns of y]
  MatrixView y;
};

struct AddScaledOp {
  MatrixView x;  // dense
  float scale;
  MatrixView y;  // dense
};

struct GateRowsOp {
  const float* gate;  // [rows], before the sigmoid
  MatrixView x;
  MatrixView y;  // may be x
};

enum class RopePairs { kInterleaved, kHalves };

struct RopeOp {
  RopePairs pairs;
  MatrixView x;  // [rows, num_heads * head_dim]
  int64_t num_heads;
  int64_t num_pairs;
  const float* cos;  // [rows, num_pairs]
  const float* sin;  // [rows, num_pairs]
};

// Keys and values of one layer: [num_blocks, num_kv_heads, block_size, head_dim]. In int8 the scales
// of a head's tokens lie behind them: [block_size] float32 at a multiple of four bytes.
struct KvCacheView {
  void* keys;
  void* values;
  KvDtype dtype;
  int64_t num_kv_heads;
  int64_t block_size;
  int64_t head_dim;

  // Bytes of one head's numbers in a block, up to its scales.
  int64_t NumberBytes() const { return (block_size * head_dim * KvDtypeBytes(dtype) + 3) / 4 * 4; }
  // Bytes of one head in a block.
  int64_t HeadBytes() const {
    return NumberBytes() + (dtype == KvDtype::kInt8 ? block_size * int64_t{sizeof(float)} : 0);
  }
  int64_t BlockBytes() const { return num_kv_heads * HeadBytes(); }
};

struct StoreKvOp {
  MatrixView keys;  // [rows, num_kv_heads * head_dim]
  MatrixView values;
  // [rows]: block * block_size + offset; negative: the row is not stored
  const int32_t* slots;
  KvCacheView cache;
};

struct PagedAttentionOp {
  MatrixView q;  // [num_tokens, num_heads * head_dim]
  int64_t num_heads;
  KvCacheView cache;
  int64_t num_sequences;
  const int32_t* query_starts;  // [num_sequences + 1]
  const int32_t* context_lens;  // [num_sequences]: tokens in the cache, the queries included
  const int32_t* block_tables;  // [num_sequences, max_blocks_per_sequence]
  int64_t max_blocks_per_sequence;
  float scale;
  MatrixView out;  // [num_tokens, num_heads * head_dim]
};

struct FullAttentionOp {
  MatrixView q;       // [num_queries, num_heads * head_dim]
  MatrixView keys;    // [num_keys, num_heads * head_dim]
  MatrixView values;  // [num_keys, num_heads * head_dim]
  int64_t num_heads;
  float scale;
  MatrixView relative_q;       // as q, or data null: no relative term
  const float* relative_keys;  // row of distance 0 of [distances, num_heads * head_dim]
  int64_t relative_stride;     // p(query - key) is at relative_keys - (query - key) * stride
  Dtype product_dtype;         // bfloat16: what is multiplied may be rounded to it
  MatrixView out;              // [num_queries, num_heads * head_dim]
};

struct DepthwiseConv1dOp {
  MatrixView x;         // [frames, channels], dense
  const float* weight;  // [kernel_size, channels]
  int64_t kernel_size;
  int64_t pad_left;
  const float* bias;  // [channels] or null
  MatrixView y;       // [frames + padding - kernel_size + 1, channels], dense
};

// A square convolution's geometry over a channels-last plane.
struct PlaneGeometry {
  int64_t height;
  int64_t width;
  int64_t channels;
  int64_t kernel_size;
  int64_t stride;
  int64_t padding;

  int64_t OutHeight() const { return (height + 2 * padding - kernel_size) / stride + 1; }
  int64_t OutWidth() const { return (width + 2 * padding - kernel_size) / stride + 1; }
};

struct DepthwiseConv2dOp {
  PlaneGeometry plane;
  const float* x;       // [height, width, channels]
  const float* weight;  // [kernel_size, kernel_size, channels]
  const float* bias;    // [channels] or null
  float* y;             // [out_height, out_width, channels]
};

// Operation that lays the neighbourhood of each output pixel in a row, so that a convolution
// becomes a gemm.
struct Im2ColOp {
  PlaneGeometry plane;
  const float* x;  // [height, width, channels]
  MatrixView y;    // [out_height * out_width, kernel_size * kernel_size * channels], tap-major
};

struct SampleOp {
  MatrixView logits;                    // [rows, vocab_size], dense; overwritten
  std::span<const TokenChoice> choices;  // host [rows]
  std::span<ChosenToken> chosen;         // host [rows]; a row is refused alone, in its status
};

struct AllReduceOp {
  MatrixView x;  // of the same shape on every rank, dense
};

struct AllGatherOp {
  MatrixView part;   // [rows, columns of this rank]
  MatrixView whole;  // [rows, columns of all ranks] on every rank; data null: this one wants none
};

// Memory of a device that a model may still take.
struct FreeMemory {
  uint64_t bytes;
  std::string in_words;    // how much there is and who limits it
  bool is_shared = false;  // by all devices of this kind
};

// Memory that is the device's own, as a model's share of it is counted.
struct OwnMemory {
  std::string device;        // "cuda:0"
  uint64_t total_bytes = 0;
  uint64_t taken_bytes = 0;  // of this device as it is opened here: by models, scratch, its driver
};

// How values of a group's ranks meet.
struct GroupPath {
  std::string in_words;        // for people
  bool is_on_devices = false;  // without threads of the host, so that `capture` may hold it
};

// Operations that a device has captured with their arguments, to run them again. They go before the
// device does.
class OpsGraph {
 public:
  virtual ~OpsGraph() = default;
  // Memory of the device that they take.
  virtual uint64_t bytes() const = 0;
};

// What a device multiplies weights of fp8 with.
enum class Fp8Products : uint8_t { kNone, kFloats, kFloatsAndFp8 };

struct Ops {
  // These operations are about memory.
  FreeMemory (*free_memory)(OpsContext& context);
  // None: the device has the memory of the host.
  std::optional<OwnMemory> (*own_memory)(OpsContext& context);
  Result<DeviceBuffer> (*allocate)(OpsContext& context, size_t bytes);
  void (*upload)(OpsContext& context, const UploadOp& op);
  // Copies plain bytes from host memory, such as a step's indices.
  void (*copy_in)(OpsContext& context, const CopyInOp& op);
  // Returns dense rows in host memory, which the caller may change until the next call on this
  // device. On a CPU they are the data itself.
  float* (*host_rows)(OpsContext& context, const MatrixView& x);

  // These operations are about memory that processes share. Null on a device that has the memory of
  // the host.

  // Takes memory that other processes may open by its handle.
  Result<SharedDeviceMemory> (*allocate_shared)(OpsContext& context, size_t bytes);
  // Opens memory of a device that is among reachable_devices, from which copy may read. It must not be
  // given back by its owner meanwhile.
  Result<DeviceBuffer> (*open_shared)(OpsContext& context, const MemoryHandle& handle, size_t bytes);
  // Returns names of the devices whose memory can be opened, the same in all processes; its own first.
  std::vector<std::string> (*reachable_devices)(OpsContext& context);
  void (*copy)(OpsContext& context, const CopyOp& op);

  // These operations are about weights. A weight's gemm is prepared once, before it is packed or
  // found packed: that takes the memory that the gemm will need, so that a step allocates nothing.
  // Packing refuses to round weights that are not finite.
  size_t (*packed_bytes)(OpsContext& context, const WeightShape& shape);
  // Names how packed weights lie in memory. Devices with equal names can multiply each other's. Empty:
  // they cannot be pages of a file.
  std::string (*packed_layout)(OpsContext& context);
  // Returns what inputs products with weights of fp8 take. None: they are given as floats.
  Fp8Products (*fp8_products)(OpsContext& context);
  Status (*prepare_gemm)(OpsContext& context, const WeightShape& shape);
  Status (*pack)(OpsContext& context, const PackOp& op);

  // These operations compute layers.
  void (*gather)(OpsContext& context, const GatherOp& op);
  void (*gemm)(OpsContext& context, const GemmOp& op);
  // Has the bits of gemm, silu_mul and gemm. Null: the device has nothing to gain from one operation.
  void (*gated_mlp)(OpsContext& context, const GatedMlpOp& op);
  void (*rms_norm)(OpsContext& context, const NormOp& op);
  void (*rms_norm_residual)(OpsContext& context, const NormOp& op);  // y += norm(x)
  void (*layer_norm)(OpsContext& context, const NormOp& op);
  void (*activate)(OpsContext& context, const ActivationOp& op);
  void (*silu_mul)(OpsContext& context, const GatedOp& op);
  void (*glu)(OpsContext& context, const GatedOp& op);
  void (*add_scaled)(OpsContext& context, const AddScaledOp& op);  // y += scale * x
  void (*gate_rows)(OpsContext& context, const GateRowsOp& op);    // y = sigmoid(gate) * x
  void (*rope)(OpsContext& context, const RopeOp& op);
  void (*store_kv)(OpsContext& context, const StoreKvOp& op);
  void (*paged_attention)(OpsContext& context, const PagedAttentionOp& op);
  void (*full_attention)(OpsContext& context, const FullAttentionOp& op);
  void (*depthwise_conv1d)(OpsContext& context, const DepthwiseConv1dOp& op);
  void (*depthwise_conv2d)(OpsContext& context, const DepthwiseConv2dOp& op);
  void (*im2col)(OpsContext& context, const Im2ColOp& op);

  // These operations end a step. The same (seed, stream, position) draws the same token on every
  // device whose logits are the same.
  void (*sample)(OpsContext& context, const SampleOp& op);

  // These operations are about steps that run often. Null on a device that has nothing to gain.

  // Keeps the operations that `run` calls instead of running them: operations that compute layers,
  // each of which has run once with matrices of these shapes. Refuses if there is no memory. Ranks of
  // a group may only capture what meets on their devices, and replay it in the same order.
  Result<std::unique_ptr<OpsGraph>> (*capture)(OpsContext& context, const std::function<void()>& run);
  // Runs what was captured: the same arguments, over the values that their memory has by now.
  void (*replay)(OpsContext& context, OpsGraph& graph);

  // These operations meet the other ranks of the device's group, which all call them in the same
  // order. If a rank fails, its group is broken: they return at once, and what they leave is undefined.

  // Makes the device a rank of a group, before any other operation but those about memory; the place
  // outlives the context. Returns how values of the ranks meet, the same on all.
  Result<GroupPath> (*join_group)(OpsContext& context, const GroupRank& place);
  // Waits until the device has done all that it was given. When it was called on all ranks, none uses
  // the memory of another any more, and a broken group may be repaired.
  void (*finish)(OpsContext& context);
  // Sets x to the sum of x over the ranks. A device alone is its only rank.
  void (*all_reduce)(OpsContext& context, const AllReduceOp& op);
  // Puts the columns of all ranks side by side. Not called on a device alone.
  void (*all_gather)(OpsContext& context, const AllGatherOp& op);
};

// An opened device: its operations, and their state.
struct Device {
  const Ops* ops;
  std::unique_ptr<OpsContext> context;
};

// Function with which a model opens its device: see kernels/open_device.h.
using DeviceOpener = Result<Device> (*)(const DeviceId& id);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_OPS_H_

#include "binding/step_plan_values.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "binding/addon_data.h"
#include "binding/arrays.h"
#include "binding/packed_outputs.h"

namespace autoglm::binding {
namespace {

std::vector<int32_t> TokenIds(const ObjectReader& object) {
  const std::vector<uint32_t> ids = object.Uint32s("tokenIds");
  return std::vector<int32_t>(ids.begin(), ids.end());
}

std::vector<MediaRows> ReadMediaRows(const ObjectReader& object, KeptArrays& kept) {
  std::vector<MediaRows> all;
  for (const ObjectReader& item : object.Objects("mediaRows")) {
    MediaRows media;
    media.first_token = item.Integer("firstToken");
    media.num_rows = item.Integer("numRows");
    media.dtype = item.DtypeOf("dtype");
    if (!item.IsNull("poolOffset")) {
      media.pool_offset = item.ByteCount("poolOffset");
    } else if (const std::optional<Napi::Uint8Array> rows = item.Bytes("rows"); rows.has_value()) {
      media.rows = rows->Data();
      media.bytes = rows->ByteLength();
      kept.push_back(Napi::Persistent(rows->As<Napi::Object>()));
    }
    all.push_back(media);
  }
  return all;
}

PooledRows ReadPooledRows(const ObjectReader& object) {
  PooledRows pooled;
  pooled.first_token = object.Integer("firstToken");
  pooled.num_rows = object.Integer("numRows");
  if (!object.IsNull("sum")) pooled.sum = object.Doubles("sum");
  return pooled;
}

Napi::Array MakeSums(Napi::Env env, const std::vector<std::vector<double>>& sums) {
  Napi::Array all = Napi::Array::New(env, sums.size());
  for (uint32_t i = 0; i < sums.size(); ++i) {
    all.Set(i, MakeArray<Napi::Float64Array>(env, sums[i]));
  }
  return all;
}

}  // namespace

StepPlan ReadStepPlan(const ObjectReader& object, KeptArrays& kept) {
  StepPlan plan;
  plan.token_ids = TokenIds(object);
  if (!object.IsNull("previousOutputs")) {
    plan.previous_outputs = object.Int32s("previousOutputs");
  }
  plan.positions = object.Int32s("positions");
  plan.slots = object.Int32s("slotMapping");
  plan.query_starts = object.Int32s("queryStarts");
  plan.context_lens = object.Int32s("contextLens");
  plan.block_tables = object.Int32s("blockTables");
  plan.max_blocks_per_sequence = object.Integer("maxBlocksPerSequence");
  plan.media_rows = ReadMediaRows(object, kept);
  ReadPackedOutputs(object, plan);
  if (!object.IsNull("pooledRows")) {
    for (const ObjectReader& pooled : object.Objects("pooledRows")) {
      plan.pooled_rows.push_back(ReadPooledRows(pooled));
    }
  }
  return plan;
}

TraceRequest ReadTraceRequest(const ObjectReader& object, KeptArrays& kept) {
  TraceRequest request;
  request.token_ids = TokenIds(object);
  request.positions = object.Int32s("positions");
  request.media_rows = ReadMediaRows(object, kept);
  return request;
}

Napi::Object MakeStepResult(Napi::Env env, const StepResult& result, int64_t idle_us) {
  const size_t num_outputs = result.outputs.size();
  size_t max_top = 0;
  for (const ChosenToken& output : result.outputs) max_top = std::max(max_top, output.top.size());
  std::vector<uint32_t> token_ids(num_outputs);
  std::vector<float> logprobs(num_outputs);
  std::vector<uint32_t> ranks(num_outputs);
  std::vector<uint32_t> top_token_ids(num_outputs * max_top);
  std::vector<float> top_logprobs(num_outputs * max_top);
  for (size_t i = 0; i < num_outputs; ++i) {
    const ChosenToken& output = result.outputs[i];
    token_ids[i] = output.token_id;
    logprobs[i] = output.logprob;
    ranks[i] = output.rank;
    for (size_t j = 0; j < output.top.size(); ++j) {
      top_token_ids[i * max_top + j] = output.top[j].token_id;
      top_logprobs[i * max_top + j] = output.top[j].logprob;
    }
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("tokenIds", MakeArray<Napi::Uint32Array>(env, token_ids));
  object.Set("logprobs", MakeArray<Napi::Float32Array>(env, logprobs));
  object.Set("ranks", MakeArray<Napi::Uint32Array>(env, ranks));
  object.Set("topTokenIds", MakeArray<Napi::Uint32Array>(env, top_token_ids));
  object.Set("topLogprobs", MakeArray<Napi::Float32Array>(env, top_logprobs));
  Napi::Array failures = Napi::Array::New(env);
  for (size_t i = 0; i < num_outputs; ++i) {
    const Status& status = result.outputs[i].status;
    if (status.ok()) continue;
    Napi::Object failure = Napi::Object::New(env);
    failure.Set("output", Napi::Number::New(env, static_cast<double>(i)));
    failure.Set("error", MakeError(env, status));
    failures.Set(failures.Length(), failure);
  }
  object.Set("failures", failures);
  object.Set("pooledSums", MakeSums(env, result.pooled_sums));
  object.Set("maxTop", Napi::Number::New(env, static_cast<double>(max_top)));
  object.Set("forwardUs", Napi::Number::New(env, static_cast<double>(result.forward_us)));
  object.Set("idleUs", Napi::Number::New(env, static_cast<double>(idle_us)));
  return object;
}

Napi::Object MakeTrace(Napi::Env env, DecoderTrace& trace) {
  const Napi::Array hidden = Napi::Array::New(env, trace.hidden.size());
  for (uint32_t i = 0; i < trace.hidden.size(); ++i) {
    hidden.Set(i, MakeFloats(env, std::move(trace.hidden[i])));
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("hidden", hidden);
  object.Set("logits", MakeFloats(env, std::move(trace.logits)));
  return object;
}

}  // namespace autoglm::binding

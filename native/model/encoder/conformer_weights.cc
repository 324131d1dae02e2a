#include <cmath>
#include <cstddef>

#include "model/encoder/conformer.h"

namespace autoglm {
namespace {

constexpr float kBatchNormEpsilon = 1e-5f;

void Append(const std::vector<float>& values, std::vector<float>& all) {
  all.insert(all.end(), values.begin(), values.end());
}

}  // namespace

Result<std::unique_ptr<Conformer>> Conformer::Load(const Device& device,
                                                   const ConformerConfig& config,
                                                   Dtype activation_dtype, WeightLoader& loader,
                                                   WeightLoader& front_loader) {
  std::unique_ptr<Conformer> tower(new Conformer(device, config, activation_dtype));
  tower->subsampling_.Load(front_loader);
  if (!front_loader.status().ok()) return front_loader.status();
  for (int64_t i = 0; i < config.num_layers && loader.status().ok(); ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    tower->layers_.push_back(
        {.feed_forward1 = tower->LoadFeedForward(loader, layer, "feed_forward1"),
         .attention = tower->LoadAttention(loader, layer),
         .convolution = tower->LoadConvolution(loader, layer),
         .feed_forward2 = tower->LoadFeedForward(loader, layer, "feed_forward2"),
         .norm_out = LoadLayerNorm(loader, layer + "norm_out", config.hidden_size)});
  }
  if (!loader.status().ok()) return loader.status();
  return tower;
}

Conformer::FeedForward Conformer::LoadFeedForward(WeightLoader& loader, const std::string& layer,
                                                  const std::string& name) const {
  const bool has_bias = config_.attention_bias;
  return {.norm = LoadLayerNorm(loader, layer + "norm_" + name, config_.hidden_size),
          .linear1 = loader.LoadLinear({{layer + name + ".linear1", config_.mlp_size}},
                                       {config_.hidden_size}, has_bias),
          .linear2 = loader.LoadLinear({{layer + name + ".linear2", config_.hidden_size}},
                                       {config_.mlp_size}, has_bias)};
}

// Loads attention. The query for positions is the query for content with another bias.
Conformer::Attention Conformer::LoadAttention(WeightLoader& loader,
                                              const std::string& layer) const {
  const int64_t hidden = config_.hidden_size;
  const std::string attention = layer + "self_attn.";
  std::vector<float> weight;
  std::vector<float> bias;
  for (const char* name : {"q_proj", "q_proj", "k_proj", "v_proj"}) {
    Append(loader.ReadFloats(attention + name + ".weight", {hidden, hidden}), weight);
    Append(config_.attention_bias ? loader.ReadFloats(attention + name + ".bias", {hidden})
                                  : std::vector<float>(static_cast<size_t>(hidden)),
           bias);
  }
  const std::vector<int64_t> heads = {config_.num_heads, hidden / config_.num_heads};
  std::vector<float> query_biases = loader.ReadFloats(attention + "bias_u", heads);
  Append(loader.ReadFloats(attention + "bias_v", heads), query_biases);
  if (!loader.status().ok()) return {};
  for (size_t i = 0; i < query_biases.size(); ++i) bias[i] += query_biases[i];

  return {.norm = LoadLayerNorm(loader, layer + "norm_self_att", hidden),
          .queries_keys_values = loader.AddLinear(weight, hidden, bias),
          .relative_keys =
              loader.LoadLinear({{attention + "relative_k_proj", hidden}}, {hidden}, false),
          .output = loader.LoadLinear({{attention + "o_proj", hidden}}, {hidden},
                                      config_.attention_bias)};
}

// Loads the convolution. Batch norm with its running statistics scales and shifts each channel;
// both are folded into the depthwise kernel and its bias.
Conformer::Convolution Conformer::LoadConvolution(WeightLoader& loader,
                                                  const std::string& layer) const {
  const int64_t hidden = config_.hidden_size;
  const int64_t kernel_size = config_.conv_kernel_size;
  const std::string conv = layer + "conv.";
  const std::vector<float> kernel =
      loader.ReadFloats(conv + "depthwise_conv.weight", {hidden, 1, kernel_size});
  std::vector<float> bias = config_.convolution_bias
                                ? loader.ReadFloats(conv + "depthwise_conv.bias", {hidden})
                                : std::vector<float>(static_cast<size_t>(hidden));
  const std::vector<float> gamma = loader.ReadFloats(conv + "norm.weight", {hidden});
  const std::vector<float> beta = loader.ReadFloats(conv + "norm.bias", {hidden});
  const std::vector<float> mean = loader.ReadFloats(conv + "norm.running_mean", {hidden});
  const std::vector<float> variance = loader.ReadFloats(conv + "norm.running_var", {hidden});
  if (!loader.status().ok()) return {};

  std::vector<float> folded(kernel.size());  // [kernel_size, hidden]
  for (size_t channel = 0; channel < bias.size(); ++channel) {
    const float scale = gamma[channel] / std::sqrt(variance[channel] + kBatchNormEpsilon);
    bias[channel] = (bias[channel] - mean[channel]) * scale + beta[channel];
    for (size_t tap = 0; tap < static_cast<size_t>(kernel_size); ++tap) {
      folded[tap * bias.size() + channel] =
          kernel[channel * static_cast<size_t>(kernel_size) + tap] * scale;
    }
  }
  return {.norm = LoadLayerNorm(loader, layer + "norm_conv", hidden),
          .pointwise1 = loader.LoadLinear({{conv + "pointwise_conv1", 2 * hidden}}, {hidden, 1},
                                          config_.convolution_bias),
          .depthwise = loader.AddFloats(folded),
          .depthwise_bias = loader.AddFloats(bias),
          .pointwise2 = loader.LoadLinear({{conv + "pointwise_conv2", hidden}}, {hidden, 1},
                                          config_.convolution_bias)};
}

}  // namespace autoglm

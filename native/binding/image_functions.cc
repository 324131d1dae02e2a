#include "binding/image_functions.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "binding/arrays.h"
#include "binding/object_reader.h"
#include "binding/refusal.h"
#include "device/device_id.h"
#include "kernels/dispatch.h"
#include "model/preprocess/image_resize.h"

namespace autoglm::binding {
namespace {

constexpr uint32_t kMaxSide = 1u << 16;  // pixels

struct ResizeRequest {
  ImageView image;
  ImageSize to;
};

ResizeRequest ReadRequest(const ObjectReader& object, Napi::ObjectReference& kept,
                          Status& status) {
  ResizeRequest request;
  request.image.size = {object.Uint32("height"), object.Uint32("width")};
  request.to = {object.Uint32("toHeight"), object.Uint32("toWidth")};
  const std::optional<Napi::Uint8Array> rgb = object.Bytes("rgb");
  if (!status.ok()) return request;
  for (const ImageSize& size : {request.image.size, request.to}) {
    if (std::min(size.height, size.width) >= 1 && std::max(size.height, size.width) <= kMaxSide) {
      continue;
    }
    status = InvalidRequest("expected sides of 1.." + std::to_string(kMaxSide) + " pixels");
    return request;
  }
  const int64_t bytes = request.image.size.height * request.image.size.width * kNumImageChannels;
  if (static_cast<int64_t>(rgb->ByteLength()) != bytes) {
    status = InvalidRequest("rgb: expected height * width * 3 = " + std::to_string(bytes) +
                            " bytes, received " + std::to_string(rgb->ByteLength()));
    return request;
  }
  request.image.rgb = rgb->Data();
  kept = Napi::Persistent(rgb->As<Napi::Object>());
  return request;
}

class ResizeWorker final : public Napi::AsyncWorker {
 public:
  ResizeWorker(Napi::Env env, const ResizeRequest& request, const kernels::ImageKernels& kernels,
               Napi::ObjectReference kept)
      : Napi::AsyncWorker(env),
        deferred_(env),
        request_(request),
        kernels_(kernels),
        kept_(std::move(kept)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    ThreadPool threads({AvailableCores()[0]});
    resized_ = ResizeBicubic(request_.image, request_.to, {threads, kernels_});
  }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    deferred_.Resolve(MakeArray<Napi::Uint8Array>(Env(), resized_));
  }

 private:
  const Napi::Promise::Deferred deferred_;
  const ResizeRequest request_;
  const kernels::ImageKernels& kernels_;
  const Napi::ObjectReference kept_;
  std::vector<uint8_t> resized_;
};

}  // namespace

Napi::Value ResizeImage(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Status status;
  Napi::ObjectReference kept;
  const ResizeRequest request =
      ReadRequest(ObjectReader(info[0], "resize", status), kept, status);
  if (!status.ok() || env.IsExceptionPending()) return RefuseRead(env, status);
  const Result<kernels::KernelChoice>& active = kernels::ActiveKernels();
  if (!active.ok()) return RefuseRead(env, active.status());
  auto* worker = new ResizeWorker(env, request, active.value().chosen.kernels.image,
                                  std::move(kept));  // frees itself when done
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace autoglm::binding

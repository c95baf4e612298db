// The class NativeEncoder.
#include "backend/registry.h"
#include "model/encoder.h"
#include "node/arguments.h"
#include "node/async.h"
#include "node/cancellation.h"
#include "node/exports.h"
#include "node/model_source.h"

namespace fles::node {
namespace {

// A batch with memory of its own.
struct OwnedBatch {
  std::vector<int32_t> tokens, offsets;
  RaggedBatch view() const {
    return {tokens.data(), offsets.data(), static_cast<int>(offsets.size()) - 1, static_cast<int>(tokens.size())};
  }
};

OwnedBatch batch_from(const Napi::CallbackInfo& info) {
  OwnedBatch batch{array_of<int32_t>(info[0], "tokens"), array_of<int32_t>(info[1], "offsets")};
  if (batch.offsets.empty()) fail("ERR_BATCH_OFFSETS", "offsets are empty, expected one more than there are texts");
  return batch;
}

class NativeEncoder : public Napi::ObjectWrap<NativeEncoder> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeEncoder",
        {InstanceMethod<&NativeEncoder::encode_sparse>("encodeSparse"),
         InstanceMethod<&NativeEncoder::encode_dense>("encodeDense"),
         InstanceMethod<&NativeEncoder::dispose>("dispose"),
         InstanceAccessor<&NativeEncoder::weight_bytes>("weightBytes"),
         InstanceAccessor<&NativeEncoder::device>("device"), StaticMethod<&NativeEncoder::load>("load")});
  }
  explicit NativeEncoder(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeEncoder>(info) {
    if (!info[0].IsExternal()) throw to_js(info.Env(), "ERR_ARGUMENT_TYPE", "use NativeEncoder.load()");
    encoder_ = *info[0].As<Napi::External<std::shared_ptr<Encoder>>>().Data();
    bytes_ = static_cast<int64_t>(encoder_->weight_bytes());
    device_ = encoder_->backend().name;
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), bytes_);
  }
  void Finalize(Napi::Env env) override { forget(env); }

 private:
  // static load(source: NativeModelSource): Promise<NativeEncoder>
  static Napi::Value load(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      const Napi::Object object = info[0].As<Napi::Object>();
      return run_async(
          env, Executor::compute(),
          [device = string_at(object, "device"), source = model_source_from(object)] {
            return std::make_shared<Encoder>(backend_for(device), source);  // a device takes seconds to start
          },
          [](Napi::Env e, std::shared_ptr<Encoder>& encoder) -> Napi::Value {
            return constructor_of(e, "NativeEncoder").New({Napi::External<std::shared_ptr<Encoder>>::New(e, &encoder)});
          });
    });
  }

  std::shared_ptr<Encoder> alive() const {
    if (encoder_ == nullptr) fail("ERR_DISPOSED", "the encoder was disposed; load it again");
    return encoder_;
  }

  // Where the backend queues its work, a batch is waited for on another thread, while this one queues the next.
  template <class Start, class Convert>
  Napi::Value run_batch(Napi::Env env, Start start, Convert convert) {
    if (encoder_->backend().queues) return run_async_in_two(env, std::move(start), std::move(convert));
    return run_async(env, Executor::compute(), [start = std::move(start)] { return start()(); }, std::move(convert));
  }

  // encodeSparse(tokens: Int32Array, offsets: Int32Array, options: NativeSparseOptions, cancellation?: Cancellation):
  //   Promise<NativeSparseRows>
  Napi::Value encode_sparse(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      const Napi::Object object = info[2].As<Napi::Object>();
      SparseOptions options;
      options.pooling = choice_at<SparsePooling>(object, "pooling", {"max", "sum", "log1p_log1p", "sum_log1p_log1p"});
      options.threshold = static_cast<float>(number_at(object, "threshold"));
      options.top_k = integer_at(object, "topK");
      options.dropped = array_of<int32_t>(object.Get("dropped"), "dropped");
      return run_batch(
          env,
          [encoder = alive(), batch = batch_from(info), options, cancelled = Cancellation::flag_of(info[3])] {
            return encoder->start_sparse(batch.view(), options, *cancelled);
          },
          [](Napi::Env e, SparseRows& rows) -> Napi::Value {
            const std::vector<double> offsets(rows.offsets.begin(), rows.offsets.end());
            Napi::Object out = Napi::Object::New(e);
            out["offsets"] = to_array(e, offsets.data(), offsets.size());
            out["terms"] = to_array(e, reinterpret_cast<const uint32_t*>(rows.terms.data()), rows.terms.size());
            out["weights"] = to_array(e, rows.weights.data(), rows.weights.size());
            return out;
          });
    });
  }

  // encodeDense(tokens: Int32Array, offsets: Int32Array, options: { pooling: DensePooling, normalize: boolean },
  //   cancellation?: Cancellation): Promise<Float32Array>
  Napi::Value encode_dense(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      const Napi::Object object = info[2].As<Napi::Object>();
      const DenseOptions options{choice_at<DensePooling>(object, "pooling", {"mean", "cls"}),
                                 flag_at(object, "normalize")};
      return run_batch(
          env,
          [encoder = alive(), batch = batch_from(info), options, cancelled = Cancellation::flag_of(info[3])] {
            return encoder->start_dense(batch.view(), options, *cancelled);
          },
          [](Napi::Env e, std::vector<float>& values) -> Napi::Value {
            return to_array(e, values.data(), values.size());
          });
    });
  }

  // dispose(): void   calls under way end first
  void dispose(const Napi::CallbackInfo& info) { forget(info.Env()); }

  // weightBytes: number   0 once disposed
  Napi::Value weight_bytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(bytes_));
  }

  // device: string
  Napi::Value device(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), device_); }

  void forget(Napi::Env env) {
    if (encoder_ == nullptr) return;
    encoder_.reset();
    Napi::MemoryManagement::AdjustExternalMemory(env, -bytes_);
    bytes_ = 0;
  }

  std::shared_ptr<Encoder> encoder_;
  std::string device_;
  int64_t bytes_ = 0;
};

}  // namespace

void export_encoder(Napi::Env env, Napi::Object exports) {
  exports.Set("Cancellation", Cancellation::define(env));
  const Napi::Function encoder = NativeEncoder::define(env);
  keep_constructor(env, "NativeEncoder", encoder);
  exports.Set("NativeEncoder", encoder);
}

}  // namespace fles::node

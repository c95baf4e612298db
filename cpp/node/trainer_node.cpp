// The class NativeTrainer.
#include "train/trainer.h"

#include "backend/registry.h"
#include "node/arguments.h"
#include "node/async.h"
#include "node/cancellation.h"
#include "node/exports.h"
#include "node/model_source.h"
#include "node/training_arguments.h"

namespace fles::node {
namespace {

class NativeTrainer : public Napi::ObjectWrap<NativeTrainer> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeTrainer",
        {StaticMethod<&NativeTrainer::create>("create"), InstanceAccessor<&NativeTrainer::device>("device"),
         InstanceAccessor<&NativeTrainer::steps>("steps"), InstanceAccessor<&NativeTrainer::tensors>("tensors"),
         InstanceMethod<&NativeTrainer::step>("step"),
         InstanceMethod<&NativeTrainer::step_masked>("stepMaskedLanguageModel"),
         InstanceMethod<&NativeTrainer::encode>("encode"), InstanceMethod<&NativeTrainer::losses>("losses"),
         InstanceMethod<&NativeTrainer::backward>("backward"), InstanceMethod<&NativeTrainer::gradients>("gradients"),
         InstanceMethod<&NativeTrainer::add_gradients>("addGradients"),
         InstanceMethod<&NativeTrainer::update>("update"), InstanceMethod<&NativeTrainer::lower_bias>("lowerBias"),
         InstanceMethod<&NativeTrainer::save>("save"), InstanceMethod<&NativeTrainer::load>("load"),
         InstanceMethod<&NativeTrainer::dispose>("dispose")});
  }
  explicit NativeTrainer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeTrainer>(info) {
    if (!info[0].IsExternal()) throw to_js(info.Env(), "ERR_ARGUMENT_TYPE", "use NativeTrainer.create()");
    trainer_ = *info[0].As<Napi::External<std::shared_ptr<Trainer>>>().Data();
    bytes_ = static_cast<int64_t>(trainer_->bytes());
    device_ = trainer_->backend().name;
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), bytes_);
  }
  void Finalize(Napi::Env env) override { forget(env); }

 private:
  // static create(source: NativeModelSource, options: NativeTrainerOptions): Promise<NativeTrainer>
  static Napi::Value create(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      const Napi::Object object = info[0].As<Napi::Object>();
      return run_async(
          env, Executor::compute(),
          [device = string_at(object, "device"), source = model_source_from(object),
           options = trainer_options_from(info[1].As<Napi::Object>())] {
            return std::make_shared<Trainer>(backend_for(device), source, options);
          },
          [](Napi::Env e, std::shared_ptr<Trainer>& trainer) -> Napi::Value {
            return constructor_of(e, "NativeTrainer").New({Napi::External<std::shared_ptr<Trainer>>::New(e, &trainer)});
          });
    });
  }

  std::shared_ptr<Trainer> alive() const {
    if (trainer_ == nullptr) fail("ERR_DISPOSED", "the trainer was disposed; create it again");
    return trainer_;
  }

  // Runs body(trainer) on the compute thread and resolves with nothing.
  template <class Body>
  Napi::Value run(Napi::Env env, Body body) {
    return run_async(
        env, Executor::compute(),
        [trainer = alive(), body = std::move(body)]() mutable {
          body(*trainer);
          return 0;
        },
        [](Napi::Env e, int&) -> Napi::Value { return e.Undefined(); });
  }

  // step(batch: NativeTrainingBatch, objective: NativeObjective, update: NativeUpdate, cancellation?: Cancellation):
  //   Promise<NativeStepReport>
  Napi::Value step(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      return run_async(
          env, Executor::compute(),
          [trainer = alive(), batch = training_batch_from(info[0].As<Napi::Object>()),
           objective = objective_from(info[1].As<Napi::Object>()), update = update_from(info[2].As<Napi::Object>()),
           cancelled = Cancellation::flag_of(info[3])] { return trainer->step(batch, objective, update, *cancelled); },
          [](Napi::Env e, StepReport& report) -> Napi::Value {
            Napi::Object out = Napi::Object::New(e);
            put(out, report.losses), put(out, report.update), put(out, report.seconds);
            return out;
          });
    });
  }

  // stepMaskedLanguageModel(batch: NativeMaskedBatch, update: NativeUpdate, cancellation?: Cancellation):
  //   Promise<NativeMaskedReport>
  Napi::Value step_masked(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      return run_async(
          env, Executor::compute(),
          [trainer = alive(), batch = masked_batch_from(info[0].As<Napi::Object>()),
           update = update_from(info[1].As<Napi::Object>()),
           cancelled = Cancellation::flag_of(info[2])] { return trainer->step_masked(batch, update, *cancelled); },
          [](Napi::Env e, MaskedReport& report) -> Napi::Value {
            Napi::Object out = Napi::Object::New(e);
            put(out, report), put(out, report.update), put(out, report.seconds);
            return out;
          });
    });
  }

  // encode(texts: NativeTexts, textIds: Int32Array, cancellation?: Cancellation): Promise<Float32Array>
  Napi::Value encode(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      return run_async(
          env, Executor::compute(),
          [trainer = alive(), texts = texts_from(info[0].As<Napi::Object>()),
           ids = array_of<int32_t>(info[1], "textIds"),
           cancelled = Cancellation::flag_of(info[2])] { return trainer->encode(texts, ids, *cancelled); },
          floats);
    });
  }

  // losses(batch: NativeTrainingBatch, objective: NativeObjective, pooled: Float32Array):
  //   Promise<NativeLosses & { gradients: Float32Array }>
  Napi::Value losses(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      struct Result {
        Losses losses;
        std::vector<float> gradients;
      };
      return run_async(
          env, Executor::compute(),
          [trainer = alive(), batch = training_batch_from(info[0].As<Napi::Object>()),
           objective = objective_from(info[1].As<Napi::Object>()), pooled = array_of<float>(info[2], "pooled")] {
            Result result;
            result.losses = trainer->losses(batch, objective, pooled, result.gradients);
            return result;
          },
          [](Napi::Env e, Result& result) -> Napi::Value {
            Napi::Object out = Napi::Object::New(e);
            put(out, result.losses);
            out["gradients"] = floats(e, result.gradients);
            return out;
          });
    });
  }

  // backward(gradients: Float32Array, cancellation?: Cancellation): Promise<void>
  Napi::Value backward(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      return run(info.Env(),
                 [gradients = array_of<float>(info[0], "gradients"), cancelled = Cancellation::flag_of(info[1])](
                     Trainer& trainer) { trainer.backward(gradients, *cancelled); });
    });
  }

  // gradients(): Promise<Float32Array>
  Napi::Value gradients(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      return run_async(env, Executor::compute(), [trainer = alive()] { return trainer->gradients(); }, floats);
    });
  }

  // addGradients(gradients: Float32Array): Promise<void>
  Napi::Value add_gradients(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      return run(info.Env(), [gradients = array_of<float>(info[0], "gradients")](Trainer& trainer) {
        trainer.add_gradients(gradients);
      });
    });
  }

  // update(update: NativeUpdate): Promise<NativeUpdateReport>
  Napi::Value update(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      return run_async(
          env, Executor::compute(),
          [trainer = alive(), settings = update_from(info[0].As<Napi::Object>())] { return trainer->update(settings); },
          [](Napi::Env e, UpdateReport& report) -> Napi::Value {
            Napi::Object out = Napi::Object::New(e);
            put(out, report);
            return out;
          });
    });
  }

  // lowerBias(by: number): Promise<void>
  Napi::Value lower_bias(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      return run(info.Env(), [by = info[0].ToNumber().FloatValue()](Trainer& trainer) { trainer.lower_bias(by); });
    });
  }

  // save(path: string, header: string, parts: string[]): Promise<void>
  Napi::Value save(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      return run(info.Env(), [path = std::string(info[0].ToString()), header = std::string(info[1].ToString()),
                              parts = strings_of(info[2])](Trainer& trainer) { trainer.save(path, header, parts); });
    });
  }

  // load(files: string[], tensors: TensorPlace[], steps: number): Promise<void>
  Napi::Value load(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      return run(info.Env(),
                 [files = strings_of(info[0]), tensors = tensors_of(info[1]),
                  steps = info[2].ToNumber().Int64Value()](Trainer& trainer) { trainer.load(files, tensors, steps); });
    });
  }

  // dispose(): void   calls under way end first
  void dispose(const Napi::CallbackInfo& info) { forget(info.Env()); }

  // device: string
  Napi::Value device(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), device_); }

  // steps: number
  Napi::Value steps(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      return Napi::Number::New(info.Env(), static_cast<double>(alive()->steps()));
    });
  }

  // tensors: { name: string; shape: number[]; offset: number; decays: boolean }[]
  Napi::Value tensors(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&]() -> Napi::Value {
      Napi::Array all = Napi::Array::New(env);
      for (const TrainableTensor& tensor : alive()->model().tensors()) {
        Napi::Object out = Napi::Object::New(env);
        Napi::Array shape = Napi::Array::New(env);
        for (const int64_t size : tensor.shape) shape[shape.Length()] = static_cast<double>(size);
        out["name"] = tensor.name;
        out["shape"] = shape;
        out["offset"] = static_cast<double>(tensor.offset);
        out["decays"] = tensor.decays;
        all[all.Length()] = out;
      }
      return all;
    });
  }

  static Napi::Value floats(Napi::Env env, const std::vector<float>& values) {
    return to_array(env, values.data(), values.size());
  }

  void forget(Napi::Env env) {
    if (trainer_ == nullptr) return;
    trainer_.reset();
    Napi::MemoryManagement::AdjustExternalMemory(env, -bytes_);
    bytes_ = 0;
  }

  std::shared_ptr<Trainer> trainer_;
  std::string device_;
  int64_t bytes_ = 0;
};

}  // namespace

void export_trainer(Napi::Env env, Napi::Object exports) {
  const Napi::Function trainer = NativeTrainer::define(env);
  keep_constructor(env, "NativeTrainer", trainer);
  exports.Set("NativeTrainer", trainer);
}

}  // namespace fles::node

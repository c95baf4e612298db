// Cancellation of calls under way.
#pragma once
#include <napi.h>

#include <atomic>
#include <memory>

namespace fles::node {

using CancelFlag = std::shared_ptr<std::atomic<bool>>;

// Handed to a call, it makes that call fail with ERR_ABORTED soon after cancel().
class Cancellation : public Napi::ObjectWrap<Cancellation> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Cancellation", {InstanceMethod<&Cancellation::cancel>("cancel")});
  }
  // constructor()
  explicit Cancellation(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Cancellation>(info) {}

  static CancelFlag flag_of(const Napi::Value& value) {
    if (!value.IsObject()) return std::make_shared<std::atomic<bool>>(false);
    return Unwrap(value.As<Napi::Object>())->flag_;
  }

 private:
  // cancel(): void
  void cancel(const Napi::CallbackInfo&) { flag_->store(true); }
  CancelFlag flag_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace fles::node

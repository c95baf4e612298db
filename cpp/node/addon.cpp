// The addon's entry. lib/native.ts has the TypeScript interface of everything exported here; a test compares the two.
#include <dlfcn.h>

#include "node/async.h"
#include "node/exports.h"

namespace fles::node {
namespace {

// Node unloads an addon when the last thread that loaded it ends, but the compute threads run on: stay loaded.
void stay_loaded() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&stay_loaded), &info) != 0 && info.dli_fname != nullptr) {
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
  }
}

// initialize(errorClass: typeof FlesError): void
Napi::Value initialize(const Napi::CallbackInfo& info) {
  set_error_class(info.Env(), info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Object start(Napi::Env env, Napi::Object exports) {
  stay_loaded();
  start_async(env);
  exports.Set("initialize", Napi::Function::New(env, initialize, "initialize"));
  export_platform(env, exports);
  export_encoder(env, exports);
  export_index(env, exports);
  export_trainer(env, exports);
  export_op_door(env, exports);
  return exports;
}

}  // namespace
}  // namespace fles::node

static Napi::Object initialize_addon(Napi::Env env, Napi::Object exports) { return fles::node::start(env, exports); }
NODE_API_MODULE(NODE_GYP_MODULE_NAME, initialize_addon)

// Facts about this machine and build.
#include "backend/registry.h"
#include "core/threads.h"
#include "cpu/cpu_features.h"
#include "cpu/levels.h"
#include "cpu/roofline.h"
#include "node/async.h"
#include "node/exports.h"

namespace fles::node {
namespace {

// platform(): Platform
Napi::Value platform(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const auto strings = [&](const std::vector<std::string>& values) {
      Napi::Array array = Napi::Array::New(env, values.size());
      for (size_t i = 0; i < values.size(); ++i) array[i] = values[i];
      return array;
    };
    std::vector<std::string> levels;
    for (const auto* kernels : cpu::usable_kernels()) levels.emplace_back(kernels->name);
    Napi::Array backends = Napi::Array::New(env);
    for (const auto& status : backend_statuses()) {
      Napi::Object entry = Napi::Object::New(env);
      entry["name"] = status.name;
      entry["installed"] = status.installed;
      entry["available"] = status.available;
      entry["reason"] = status.reason;
      entry["description"] = status.description;
      backends[backends.Length()] = entry;
    }
    Napi::Object out = Napi::Object::New(env);
    out["cpuLevel"] = std::string(cpu::chosen_kernels().name);
    out["cpuSixteenBits"] = cpu::sixteen_bits(cpu::chosen_kernels()) == DataType::kBfloat16 ? "bfloat16" : "int16";
    out["cpuLevels"] = strings(levels);
    out["cpuFeatures"] = strings(cpu::feature_names());
    out["threads"] = thread_count();
    out["backends"] = backends;
    return out;
  });
}

// setThreads(count: number): void
Napi::Value set_threads(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    set_thread_count(info[0].As<Napi::Number>().Int32Value());
    return env.Undefined();
  });
}

// threadCount(): number
Napi::Value count_threads(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value { return Napi::Number::New(env, thread_count()); });
}

// deviceMemory(device: string): number   bytes that the device has of its own; 0 where that is the host's memory
Napi::Value device_memory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    return Napi::Number::New(env, static_cast<double>(backend_for(info[0].ToString()).memory));
  });
}

// roofline(): { gflops: number, gbytes: number }   blocks for some tenths of a second
Napi::Value roofline(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const cpu::Roofline measured = cpu::measure_roofline();
    Napi::Object out = Napi::Object::New(env);
    out["gflops"] = measured.gflops;
    out["gbytes"] = measured.gbytes;
    return out;
  });
}

// multiplyAddRate(flop: number): number   GFLOP/s while about so many are done; blocks meanwhile
Napi::Value multiply_add_rate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] { return Napi::Number::New(env, cpu::multiply_add_rate(info[0].ToNumber().DoubleValue())); });
}

}  // namespace

void export_platform(Napi::Env env, Napi::Object exports) {
  exports.Set("deviceMemory", Napi::Function::New(env, device_memory, "deviceMemory"));
  exports.Set("multiplyAddRate", Napi::Function::New(env, multiply_add_rate, "multiplyAddRate"));
  exports.Set("roofline", Napi::Function::New(env, roofline, "roofline"));
  exports.Set("threadCount", Napi::Function::New(env, count_threads, "threadCount"));
  exports.Set("setThreads", Napi::Function::New(env, set_threads, "setThreads"));
  exports.Set("platform", Napi::Function::New(env, platform, "platform"));
}

}  // namespace fles::node

// Promises for work off the event loop, and the one place where errors become JavaScript errors.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <string>

#include "core/error.h"
#include "core/executor.h"

namespace fles::node {

// A FlesError (the class given to initialize()) made from `code` and `message`.
Napi::Error to_js(Napi::Env env, const std::string& code, const std::string& message);

// Sets up what promises need in this environment (the main thread or one worker). Call once from the addon's init.
void start_async(Napi::Env env);
void set_error_class(Napi::Env env, Napi::Function constructor);

// Constructors of the addon's classes in this environment, for results that are objects of them. Captured work must not
// hold JavaScript references itself: it may be dropped on another thread.
void keep_constructor(Napi::Env env, const char* name, Napi::Function constructor);
Napi::Function constructor_of(Napi::Env env, const char* name);

// Type-erased core of run_async. `work` runs on the executor and `collect`, if there is one, on Executor::collect();
// then `convert` runs on the JavaScript thread of env, or the promise is rejected with what was thrown. Neither happens
// once the environment has ended; all are then destroyed.
struct Job {
  std::function<void()> work, collect;
  std::function<Napi::Value(Napi::Env)> convert;
};
Napi::Promise submit(Napi::Env env, Executor& executor, Job job);

// Runs work() -> Result on the executor and resolves with convert(env, Result&). The error object is created now, so
// that its stack shows the caller. The process stays alive until the promise settles.
template <class Work, class Convert>
Napi::Promise run_async(Napi::Env env, Executor& executor, Work work, Convert convert) {
  using Result = decltype(work());
  auto result = std::make_shared<std::unique_ptr<Result>>();
  return submit(env, executor,
                {[work = std::move(work), result]() mutable { *result = std::make_unique<Result>(work()); }, nullptr,
                 [convert = std::move(convert), result](Napi::Env e) mutable { return convert(e, **result); }});
}

// The same in two parts: start() -> std::function<Result()> runs on Executor::compute(), what it returns after it on
// Executor::collect(), so that the next job can start.
template <class Start, class Convert>
Napi::Promise run_async_in_two(Napi::Env env, Start start, Convert convert) {
  using Collect = decltype(start());
  using Result = typename Collect::result_type;
  auto collect = std::make_shared<Collect>();
  auto result = std::make_shared<std::unique_ptr<Result>>();
  return submit(env, Executor::compute(),
                {[start = std::move(start), collect]() mutable { *collect = start(); },
                 [collect, result] { *result = std::make_unique<Result>((*collect)()); },
                 [convert = std::move(convert), result](Napi::Env e) mutable { return convert(e, **result); }});
}

// Runs body and throws what it throws as a JavaScript error. Wraps every export.
template <class Body>
auto guarded(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw to_js(env, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    throw to_js(env, "ERR_OUT_OF_MEMORY", "memory was asked for and refused; use a smaller batch, model or index");
  } catch (const std::exception& error) {
    throw to_js(env, "ERR_INTERNAL", error.what());
  }
}

}  // namespace fles::node

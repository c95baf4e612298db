#include "node/async.h"

#include <map>
#include <mutex>
#include <new>

namespace fles::node {
namespace {

// Shared by an environment and the jobs under way for it. `closed` is set before the environment's function for
// thread-safe calls goes, so that a job that ends later does not touch it.
struct Channel {
  std::mutex lock;
  bool closed = false;
  napi_threadsafe_function function = nullptr;
};

struct EnvironmentData {
  std::shared_ptr<Channel> channel = std::make_shared<Channel>();
  Napi::FunctionReference error_class;
  std::map<std::string, Napi::FunctionReference> constructors;
  int pending = 0;
};

struct Pending {
  Job job;
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference error;  // made at the call, for its stack
  EnvironmentData* data;
  bool failed = false;
  std::string code, message;

  explicit Pending(Napi::Env env)
      : deferred(Napi::Promise::Deferred::New(env)), data(env.GetInstanceData<EnvironmentData>()) {}
};

void fill_error(Napi::Object error, const std::string& code, const std::string& message) {
  const Napi::Env env = error.Env();
  error.DefineProperties(
      {Napi::PropertyDescriptor::Value("message", Napi::String::New(env, message),
                                       static_cast<napi_property_attributes>(napi_writable | napi_configurable)),
       Napi::PropertyDescriptor::Value("code", Napi::String::New(env, code), napi_default_jsproperty)});
  // The stack was taken with the old message in its first line.
  const Napi::Value stack = error.Get("stack");
  if (stack.IsString()) {
    const std::string text = stack.As<Napi::String>();
    const size_t frames = text.find("\n    at ");
    error.Set("stack", "FlesError: " + message + (frames == std::string::npos ? "" : text.substr(frames)));
  }
}

Napi::Object new_error(Napi::Env env) {
  auto* data = env.GetInstanceData<EnvironmentData>();
  if (data->error_class.IsEmpty()) return Napi::Error::New(env, "").Value();
  return data->error_class.New({Napi::String::New(env, "ERR_INTERNAL"), Napi::String::New(env, "")});
}

void run(Pending* pending, const std::function<void()>& part) {
  const auto failed = [&](const std::string& code, const std::string& message) {
    pending->failed = true;
    pending->code = code;
    pending->message = message;
  };
  try {
    part();
  } catch (const Error& error) {
    failed(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    failed("ERR_OUT_OF_MEMORY", "memory was asked for and refused; use a smaller batch, model or index");
  } catch (const std::exception& error) {
    failed("ERR_INTERNAL", error.what());
  }
}

// Throws Napi::Error when the environment is ending and runs no JavaScript any more.
void resolve_or_reject(Napi::Env env, Pending& pending) {
  if (!pending.failed) {
    try {
      pending.deferred.Resolve(pending.job.convert(env));
      return;
    } catch (const Napi::Error& error) {
      pending.deferred.Reject(error.Value());
      return;
    } catch (const std::exception& error) {
      pending.code = "ERR_INTERNAL";
      pending.message = error.what();
    }
  }
  const Napi::Object error = pending.error.Value();
  fill_error(error, pending.code, pending.message);
  pending.deferred.Reject(error);
}

// On the JavaScript thread. env is null when the environment is ending.
void settle(napi_env raw, napi_value, void*, void* context) {
  const std::unique_ptr<std::shared_ptr<Pending>> owned(static_cast<std::shared_ptr<Pending>*>(context));
  Pending& pending = **owned;
  if (raw == nullptr) {
    pending.error.SuppressDestruct();
    return;
  }
  const Napi::Env env(raw);
  const Napi::HandleScope scope(env);
  if (--pending.data->pending == 0) napi_unref_threadsafe_function(raw, pending.data->channel->function);
  try {
    resolve_or_reject(env, pending);
    // NOLINTNEXTLINE(bugprone-empty-catch): a worker is being terminated: nobody waits for the promise
  } catch (const Napi::Error&) {
  }
}

// From any thread. JavaScript references may only be dropped on their own thread; with the environment gone they are
// gone too.
void settle_later(std::shared_ptr<Pending> pending, Channel& channel) {
  const std::scoped_lock held(channel.lock);
  auto* context = new std::shared_ptr<Pending>(std::move(pending));
  if (channel.closed || napi_call_threadsafe_function(channel.function, context, napi_tsfn_nonblocking) != napi_ok) {
    (*context)->error.SuppressDestruct();
    delete context;
  }
}

}  // namespace

Napi::Error to_js(Napi::Env env, const std::string& code, const std::string& message) {
  const Napi::Object error = new_error(env);
  fill_error(error, code, message);
  return {env, error};
}

void start_async(Napi::Env env) {
  auto* data = new EnvironmentData;
  env.SetInstanceData(data);
  const Napi::String name = Napi::String::New(env, "fles");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, settle,
                                      &data->channel->function) != napi_ok) {
    throw Napi::Error::New(env, "fles: no thread-safe function could be created");
  }
  napi_unref_threadsafe_function(env, data->channel->function);
  // Hooks run in the reverse order of their registration: this one before the function's own clean-up.
  env.AddCleanupHook(
      [](std::shared_ptr<Channel>* channel) {
        {
          const std::scoped_lock held((*channel)->lock);
          (*channel)->closed = true;
        }
        delete channel;
      },
      new std::shared_ptr<Channel>(data->channel));
}

void set_error_class(Napi::Env env, Napi::Function constructor) {
  env.GetInstanceData<EnvironmentData>()->error_class = Napi::Persistent(constructor);
}

void keep_constructor(Napi::Env env, const char* name, Napi::Function constructor) {
  env.GetInstanceData<EnvironmentData>()->constructors[name] = Napi::Persistent(constructor);
}

Napi::Function constructor_of(Napi::Env env, const char* name) {
  return env.GetInstanceData<EnvironmentData>()->constructors.at(name).Value();
}

Napi::Promise submit(Napi::Env env, Executor& executor, Job job) {
  auto pending = std::make_shared<Pending>(env);
  pending->job = std::move(job);
  pending->error = Napi::Persistent(new_error(env));
  auto* data = env.GetInstanceData<EnvironmentData>();
  if (data->pending++ == 0) napi_ref_threadsafe_function(env, data->channel->function);
  const Napi::Promise promise = pending->deferred.Promise();
  executor.submit([pending = std::move(pending), channel = data->channel]() mutable {
    run(pending.get(), pending->job.work);
    if (pending->failed || !pending->job.collect) return settle_later(std::move(pending), *channel);
    Executor::collect().submit([pending = std::move(pending), channel = std::move(channel)]() mutable {
      run(pending.get(), pending->job.collect);
      settle_later(std::move(pending), *channel);
    });
  });
  return promise;
}

}  // namespace fles::node

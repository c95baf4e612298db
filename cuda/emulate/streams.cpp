#include "emulate/streams.h"

#include <chrono>
#include <deque>
#include <map>
#include <vector>

#include "emulate/configuration.h"
#include "emulate/errors.h"
#include "emulate/log.h"

namespace emulate {

struct Event {
  int64_t recorded = 0, done = 0;
  bool timed = true;
  std::chrono::steady_clock::time_point time;
};

struct Operation {
  std::function<void()> run;
  std::shared_ptr<const Event> event;  // that must have been recorded as often as this
  int64_t recorded = 0;

  bool may_run() const { return event == nullptr || event->done >= recorded; }
};

struct Stream {
  int device = 0;
  bool blocking = true;  // ordered with the default stream
  std::deque<Operation> queue;
};

namespace {

constinit thread_local int current_device = 0;

struct Streams {
  std::map<cudaStream_t, std::unique_ptr<Stream>> streams;
  std::map<cudaEvent_t, std::shared_ptr<Event>> events;
  std::map<int, Stream> default_streams;  // by device
  Random random{configuration().stream_seed};
};
Streams& state() {
  static auto* made = new Streams;  // never destroyed: the process may end while others use it
  return *made;
}

template <class Visit>
void for_each_stream(const Visit& visit) {
  for (auto& [device, stream] : state().default_streams) visit(stream);
  for (auto& [handle, stream] : state().streams) visit(*stream);
}

// Runs the first operation of some stream; false when none may run.
bool run_one() {
  std::vector<Stream*> candidates;
  for_each_stream([&](Stream& stream) {
    if (!stream.queue.empty() && stream.queue.front().may_run()) candidates.push_back(&stream);
  });
  if (candidates.empty()) return false;
  Stream* stream = candidates[state().random.below(static_cast<unsigned>(candidates.size()))];
  const Operation operation = std::move(stream->queue.front());
  stream->queue.pop_front();
  if (operation.run) operation.run();
  return true;
}

template <class Done>
void run_until(const Done& done) {
  while (!done()) {
    if (run_one()) continue;
    failed(cudaErrorLaunchFailure, "a stream waits for an event that nothing will record");
    for_each_stream([](Stream& stream) { stream.queue.clear(); });
    return;
  }
}

bool is_default(const Stream& stream) { return &stream == &state().default_streams[stream.device]; }

void enqueue_operation(Stream& stream, Operation operation) {
  // The default stream and those that block are ordered with each other.
  if (is_default(stream)) {
    run_until([&] {
      bool idle = true;
      for_each_stream([&](const Stream& other) {
        if (other.device == stream.device && other.blocking && &other != &stream) idle &= other.queue.empty();
      });
      return idle;
    });
  } else if (stream.blocking) {
    finish(state().default_streams[stream.device]);
  }
  stream.queue.push_back(std::move(operation));
  if (!configuration().lazy_streams) finish_all();
}

std::shared_ptr<Event> find_event(cudaEvent_t handle) {
  const auto found = state().events.find(handle);
  return found == state().events.end() ? nullptr : found->second;
}

cudaError_t invalid_handle() { return failed(cudaErrorInvalidResourceHandle, "a handle is no stream or no event"); }

}  // namespace

int this_device() { return current_device; }
void set_this_device(int device) { current_device = device; }

Stream* find_stream(cudaStream_t handle) {
  if (handle == nullptr) {
    Stream& stream = state().default_streams[current_device];
    stream.device = current_device;
    return &stream;
  }
  const auto found = state().streams.find(handle);
  return found == state().streams.end() ? nullptr : found->second.get();
}

int device_of(const Stream& stream) { return stream.device; }

void enqueue(Stream& stream, std::function<void()> work) { enqueue_operation(stream, {std::move(work), nullptr, 0}); }

bool is_idle(const Stream& stream) { return stream.queue.empty(); }

bool is_idle() {
  bool idle = true;
  for_each_stream([&](const Stream& stream) { idle &= is_idle(stream); });
  return idle;
}

void finish(Stream& stream) {
  run_until([&] { return is_idle(stream); });
}

void finish_all() {
  run_until([] { return is_idle(); });
}

}  // namespace emulate

using emulate::Event;
using emulate::failed;
using emulate::Stream;
using Held = std::scoped_lock<std::recursive_mutex>;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags) {
  const Held held(emulate::host_lock());
  if ((flags & ~cudaStreamNonBlocking) != 0) return failed(cudaErrorInvalidValue);
  auto stream = std::make_unique<Stream>();
  stream->device = emulate::this_device();
  stream->blocking = flags == cudaStreamDefault;
  *handle = reinterpret_cast<cudaStream_t>(stream.get());
  emulate::state().streams[*handle] = std::move(stream);
  emulate::log("create stream");
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* handle) { return cudaStreamCreateWithFlags(handle, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  const Held held(emulate::host_lock());
  Stream* stream = emulate::find_stream(handle);
  if (handle == nullptr || stream == nullptr) return emulate::invalid_handle();
  emulate::finish(*stream);
  emulate::state().streams.erase(handle);
  emulate::log("destroy stream");
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  const Held held(emulate::host_lock());
  Stream* stream = emulate::find_stream(handle);
  if (stream == nullptr) return emulate::invalid_handle();
  emulate::log_wait(!emulate::is_idle(*stream));
  emulate::finish(*stream);
  return emulate::lasting_error();
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  const Held held(emulate::host_lock());
  Stream* stream = emulate::find_stream(handle);
  if (stream == nullptr) return emulate::invalid_handle();
  if (stream->queue.empty()) return emulate::lasting_error();
  emulate::run_one();  // or who asks until it is ready would ask for ever
  return cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned) {
  const Held held(emulate::host_lock());
  Stream* stream = emulate::find_stream(handle);
  const std::shared_ptr<Event> event = emulate::find_event(event_handle);
  if (stream == nullptr || event == nullptr) return emulate::invalid_handle();
  emulate::enqueue_operation(*stream, {nullptr, event, event->recorded});
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const Held held(emulate::host_lock());
  emulate::log_wait(!emulate::is_idle());
  emulate::finish_all();
  return emulate::lasting_error();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned flags) {
  const Held held(emulate::host_lock());
  auto event = std::make_shared<Event>();
  event->timed = (flags & cudaEventDisableTiming) == 0;
  *handle = reinterpret_cast<cudaEvent_t>(event.get());
  emulate::state().events[*handle] = std::move(event);
  emulate::log("create event");
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* handle) { return cudaEventCreateWithFlags(handle, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  const Held held(emulate::host_lock());
  if (emulate::state().events.erase(handle) == 0) return emulate::invalid_handle();
  emulate::log("destroy event");
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
  const Held held(emulate::host_lock());
  Stream* stream = emulate::find_stream(stream_handle);
  const std::shared_ptr<Event> event = emulate::find_event(handle);
  if (stream == nullptr || event == nullptr) return emulate::invalid_handle();
  const int64_t recorded = ++event->recorded;
  emulate::enqueue(*stream, [event, recorded] {
    event->done = recorded;
    event->time = std::chrono::steady_clock::now();
  });
  return emulate::lasting_error();
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  const Held held(emulate::host_lock());
  const std::shared_ptr<Event> event = emulate::find_event(handle);
  if (event == nullptr) return emulate::invalid_handle();
  emulate::log_wait(event->done < event->recorded);
  emulate::run_until([&, recorded = event->recorded] { return event->done >= recorded; });
  return emulate::lasting_error();
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  const Held held(emulate::host_lock());
  const std::shared_ptr<Event> event = emulate::find_event(handle);
  if (event == nullptr) return emulate::invalid_handle();
  if (event->done >= event->recorded) return emulate::lasting_error();
  emulate::run_one();
  return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t first_handle, cudaEvent_t second_handle) {
  const Held held(emulate::host_lock());
  const std::shared_ptr<Event> first = emulate::find_event(first_handle), second = emulate::find_event(second_handle);
  if (first == nullptr || second == nullptr) return emulate::invalid_handle();
  for (const auto& event : {first, second}) {
    if (!event->timed || event->recorded == 0) return failed(cudaErrorInvalidResourceHandle);
    if (event->done < event->recorded) return cudaErrorNotReady;
  }
  *milliseconds = std::chrono::duration<float, std::milli>(second->time - first->time).count();
  return cudaSuccess;
}

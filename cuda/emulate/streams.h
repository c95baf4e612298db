// Streams and events: queues of work that the thread which waits for it runs.
#pragma once
#include <functional>
#include <memory>

#include "emulate/types.h"

namespace emulate {

struct Stream;
struct Event;

// The caller holds the lock of the host API.

// Null for a handle that is no stream. The default stream of the calling thread's device for the null handle.
Stream* find_stream(cudaStream_t handle);
int device_of(const Stream& stream);

// Queues work. It runs at once unless streams are lazy.
void enqueue(Stream& stream, std::function<void()> work);
// Whether nothing is queued, in this stream or in any.
bool is_idle(const Stream& stream);
bool is_idle();
// Runs what is queued, of all streams, until this stream or all of them have nothing left.
void finish(Stream& stream);
void finish_all();

int this_device();  // the calling thread's
void set_this_device(int device);

}  // namespace emulate

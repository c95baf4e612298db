// The description of a model's files, from JavaScript (NativeModelSource in lib/native.ts).
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "model/parameters.h"

namespace fles::node {

ModelSource model_source_from(const Napi::Object& object);

// The strings of an array, and the tensors of `tensors`, properties of an object.
std::vector<std::string> strings_from(const Napi::Object& object, const char* name);
std::vector<TensorSource> tensors_from(const Napi::Object& object);

}  // namespace fles::node

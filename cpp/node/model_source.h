// The description of a model's files, from JavaScript (NativeModelSource in lib/native.ts).
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "model/parameters.h"

namespace fles::node {

ModelSource model_source_from(const Napi::Object& object);

// Elements of arrays: strings, and TensorPlace.
std::vector<std::string> strings_of(const Napi::Value& array);
std::vector<TensorSource> tensors_of(const Napi::Value& array);

}  // namespace fles::node

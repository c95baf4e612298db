#include "node/model_source.h"

#include "node/arguments.h"

namespace fles::node {

namespace {

Napi::Array array_from(const Napi::Value& value) {
  if (!value.IsArray()) fail("ERR_ARGUMENT_TYPE", "an array was expected");
  return value.As<Napi::Array>();
}

}  // namespace

std::vector<std::string> strings_of(const Napi::Value& value) {
  const Napi::Array array = array_from(value);
  std::vector<std::string> strings;
  strings.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) strings.push_back(array.Get(i).ToString());
  return strings;
}

std::vector<TensorSource> tensors_of(const Napi::Value& value) {
  std::vector<TensorSource> sources;
  const Napi::Array tensors = array_from(value);
  for (uint32_t i = 0; i < tensors.Length(); ++i) {
    const Napi::Object tensor = tensors.Get(i).As<Napi::Object>();
    TensorSource place{string_at(tensor, "name"),
                       integer_at(tensor, "file"),
                       choice_at<StorageType>(tensor, "dtype", {"F32", "F16", "BF16"}),
                       offset_at(tensor, "offset"),
                       {}};
    const auto shape = object_at(tensor, "shape").As<Napi::Array>();
    for (uint32_t d = 0; d < shape.Length(); ++d) place.shape.push_back(shape.Get(d).ToNumber().Int64Value());
    sources.push_back(std::move(place));
  }
  return sources;
}

ModelSource model_source_from(const Napi::Object& object) {
  ModelSource source;
  const Napi::Object config = object_at(object, "config");
  ModelConfig& c = source.config;
  c.vocabulary_size = integer_at(config, "vocabularySize");
  c.hidden_size = integer_at(config, "hiddenSize");
  c.layers = integer_at(config, "layers");
  c.heads = integer_at(config, "heads");
  c.intermediate_size = integer_at(config, "intermediateSize");
  c.max_positions = integer_at(config, "maxPositions");
  c.type_vocabulary_size = integer_at(config, "typeVocabularySize");
  c.layer_norm_eps = static_cast<float>(number_at(config, "layerNormEps"));
  c.activation = static_cast<Activation>(1 + choice_at<int>(config, "activation", {"gelu", "gelu_new", "relu"}));
  source.type = choice_at<DataType>(object, "dtype", {"float32", "bfloat16", "int8"});
  source.with_head = flag_at(object, "withHead");
  source.files = strings_of(object.Get("files"));
  source.tensors = tensors_of(object.Get("tensors"));
  return source;
}

}  // namespace fles::node

#include "node/model_source.h"

#include "node/arguments.h"

namespace fles::node {

std::vector<std::string> strings_from(const Napi::Object& object, const char* name) {
  const auto array = object_at(object, name).As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); ++i) strings.push_back(array.Get(i).ToString());
  return strings;
}

std::vector<TensorSource> tensors_from(const Napi::Object& object) {
  std::vector<TensorSource> sources;
  const auto tensors = object_at(object, "tensors").As<Napi::Array>();
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
  source.with_head = flag_at(object, "withHead");
  source.files = strings_from(object, "files");
  source.tensors = tensors_from(object);
  return source;
}

}  // namespace fles::node

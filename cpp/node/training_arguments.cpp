#include "node/training_arguments.h"

#include "node/arguments.h"

namespace fles::node {
namespace {

// A number in low..high, else ERR_OPTION_RANGE.
double ranged(const Napi::Object& object, const char* name, double low, double high) {
  const double value = number_at(object, name);
  if (!(value >= low && value <= high)) {
    fail("ERR_OPTION_RANGE", "%s is %g, expected a number in %g..%g", name, value, low, high);
  }
  return value;
}

// Above 0, with room for its inverse.
double positive(const Napi::Object& object, const char* name) { return ranged(object, name, 1e-9, 1e9); }

int ranged_integer(const Napi::Object& object, const char* name, int low, int high) {
  const int value = integer_at(object, name);
  if (value < low || value > high) {
    fail("ERR_OPTION_RANGE", "%s is %d, expected an integer in %d..%d", name, value, low, high);
  }
  return value;
}

bool absent(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  return value.IsUndefined() || value.IsNull();
}

// 0 or more, less than 1: at 65535.5 / 65536 every draw of ops/random.h would drop.
float probability(const Napi::Object& object, const char* name) {
  return static_cast<float>(ranged(object, name, 0, 0.999));
}

TeacherRows teacher_rows(const Napi::Object& batch, const char* name) {
  TeacherRows rows;
  if (absent(batch, name)) return rows;
  const Napi::Object object = object_at(batch, name);
  const auto terms = array_of<uint32_t>(object.Get("terms"), "terms");
  rows.terms.assign(terms.begin(), terms.end());
  rows.weights = array_of<float>(object.Get("weights"), "weights");
  for (const double offset : array_of<double>(object.Get("offsets"), "offsets")) {
    if (!(offset >= 0 && offset <= static_cast<double>(INT32_MAX))) {
      fail("ERR_BATCH_OFFSETS", "%s has the offset %g, expected 0..2147483647", name, offset);
    }
    rows.offsets.push_back(static_cast<int32_t>(offset));
  }
  return rows;
}

FlopsSettings flops_from(const Napi::Object& objective, const char* name) {
  const Napi::Object object = object_at(objective, name);
  FlopsSettings settings;
  settings.norm = choice_at<FlopsNorm>(object, "norm", {"L1", "L2"});
  if (!absent(object, "termWeights")) settings.term_weights = array_of<float>(object.Get("termWeights"), "termWeights");
  settings.minimum_terms = ranged_integer(object, "minimumTerms", 0, INT32_MAX);
  return settings;
}

Napi::Value frequencies(Napi::Env env, const std::vector<int32_t>& values) {
  return to_array(env, values.data(), values.size());
}

}  // namespace

TrainerOptions trainer_options_from(const Napi::Object& object) {
  TrainerOptions options;
  options.seed = ranged_integer(object, "seed", 0, INT32_MAX);
  options.dropout = probability(object, "dropout");
  options.attention_dropout = probability(object, "attentionDropout");
  options.product_type = choice_at<DataType>(object, "dtype", {"float32", "bfloat16"});
  constexpr int kSparse = 4;  // the first ones
  const int pooling =
      choice_at<int>(object, "pooling", {"max", "sum", "log1p_log1p", "sum_log1p_log1p", "mean", "cls"});
  if (pooling < kSparse)
    options.pooling = static_cast<SparsePooling>(pooling);
  else
    options.dense_pooling = static_cast<DensePooling>(pooling - kSparse);
  options.bag_queries = choice_at<int>(object, "queryKind", {"encoder", "bag"}) == 1;
  options.dropped = array_of<int32_t>(object.Get("dropped"), "dropped");
  options.bag_dropped = array_of<int32_t>(object.Get("bagDropped"), "bagDropped");
  options.micro_batch_tokens = ranged_integer(object, "microBatchTokens", 1, 1 << 24);
  options.kept_layers = ranged_integer(object, "keptLayers", 0, INT32_MAX);
  options.initialize = choice_at<Initialize>(object, "initialize", {"none", "head", "all"});
  return options;
}

Texts texts_from(const Napi::Object& object) {
  Texts texts{array_of<int32_t>(object.Get("tokens"), "tokens"), array_of<int32_t>(object.Get("offsets"), "offsets")};
  if (texts.offsets.empty()) fail("ERR_BATCH_OFFSETS", "offsets are empty, expected one more than there are texts");
  return texts;
}

TrainingBatch training_batch_from(const Napi::Object& object) {
  TrainingBatch batch;
  batch.queries = texts_from(object_at(object, "queries"));
  batch.documents = texts_from(object_at(object, "documents"));
  batch.positives = array_of<int32_t>(object.Get("positives"), "positives");
  batch.owners = array_of<int32_t>(object.Get("owners"), "owners");
  batch.duplicates = array_of<int32_t>(object.Get("duplicates"), "duplicates");
  if (!absent(object, "excluded")) batch.excluded = array_of<int32_t>(object.Get("excluded"), "excluded");
  if (!absent(object, "teacherScores")) {
    batch.teacher_scores = array_of<float>(object.Get("teacherScores"), "teacherScores");
  }
  batch.teacher_queries = teacher_rows(object, "teacherQueries");
  batch.teacher_documents = teacher_rows(object, "teacherDocuments");
  return batch;
}

MaskedBatch masked_batch_from(const Napi::Object& object) {
  return {texts_from(object), array_of<int32_t>(object.Get("labels"), "labels")};
}

ObjectiveSettings objective_from(const Napi::Object& object) {
  ObjectiveSettings settings;
  const Napi::Object weights = object_at(object, "weights");
  const Napi::Array names = weights.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString();
    if (absent(weights, name.c_str())) continue;
    size_t term = 0;
    while (term < kLossTerms.size() && name != kLossTerms[term]) ++term;
    if (term == kLossTerms.size()) {
      std::string known;
      for (const char* each : kLossTerms) known += (known.empty() ? "" : ", ") + std::string(each);
      fail("ERR_OPTION_VALUE", "weights has the term \"%s\", expected %s", name.c_str(), known.c_str());
    }
    settings.weights[term] = ranged(weights, name.c_str(), 0, 1e12);
  }
  settings.similarity = choice_at<Similarity>(object, "similarity", {"dot", "cos"});
  settings.negatives = choice_at<Negatives>(object, "negatives", {"all", "own"});
  settings.temperature = positive(object, "temperature");
  settings.distillation_temperature = positive(object, "distillationTemperature");
  settings.teacher_temperature = positive(object, "teacherTemperature");
  settings.flops_documents = flops_from(object, "flopsDocuments");
  settings.flops_queries = flops_from(object, "flopsQueries");
  const Napi::Object collapse = object_at(object, "antiCollapse");
  settings.collapse_k = ranged_integer(collapse, "k", 1, INT32_MAX);
  settings.collapse_margin = ranged(collapse, "margin", -1e9, 1e9);
  return settings;
}

UpdateSettings update_from(const Napi::Object& object) {
  UpdateSettings settings;
  settings.rate = ranged(object, "rate", 0, 1e3);
  settings.weight_decay = ranged(object, "weightDecay", 0, 1e3);
  settings.beta1 = ranged(object, "beta1", 0, 1 - 1e-9);
  settings.beta2 = ranged(object, "beta2", 0, 1 - 1e-9);
  settings.epsilon = positive(object, "epsilon");
  settings.clip = ranged(object, "clip", 0, 1e12);
  return settings;
}

void put(Napi::Object& out, const Losses& losses) {
  const Napi::Env env = out.Env();
  Napi::Object terms = Napi::Object::New(env);
  for (size_t i = 0; i < kLossTerms.size(); ++i) {
    const TermReport& term = losses.terms[i];
    if (term.weight == 0) continue;
    Napi::Object entry = Napi::Object::New(env);
    entry["value"] = term.value;
    entry["weight"] = term.weight;
    entry["gradientNorm"] = term.gradient_norm;
    terms[kLossTerms[i]] = entry;
  }
  out["loss"] = losses.loss;
  out["terms"] = terms;
  out["documentTerms"] = static_cast<double>(losses.document_terms);
  out["queryTerms"] = static_cast<double>(losses.query_terms);
  out["documentFrequencies"] = frequencies(env, losses.document_frequencies);
  out["queryFrequencies"] = frequencies(env, losses.query_frequencies);
  out["headBytes"] = static_cast<double>(losses.head_bytes);
}

void put(Napi::Object& out, const UpdateReport& report) {
  out["gradientNorm"] = report.gradient_norm;
  out["problem"] = report.vanished ? "ERR_GRADIENT_VANISHED" : "";
  out["steps"] = static_cast<double>(report.steps);
  out["bytes"] = static_cast<double>(report.bytes);
}

void put(Napi::Object& out, const Seconds& seconds) {
  Napi::Object parts = Napi::Object::New(out.Env());
  parts["forward"] = seconds.forward;
  parts["head"] = seconds.head;
  parts["losses"] = seconds.losses;
  parts["recompute"] = seconds.recompute;
  parts["headBackward"] = seconds.head_backward;
  parts["backward"] = seconds.backward;
  parts["update"] = seconds.update;
  out["seconds"] = parts;
}

void put(Napi::Object& out, const MaskedReport& report) {
  out["loss"] = report.loss;
  out["predictions"] = static_cast<double>(report.predictions);
  out["accuracy"] = report.accuracy;
  out["headBytes"] = static_cast<double>(report.head_bytes);
}

}  // namespace fles::node

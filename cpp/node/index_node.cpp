// The classes NativeIndexBuilder and NativeIndex.
#include "index/builder.h"
#include "index/search.h"
#include "node/arguments.h"
#include "node/async.h"
#include "node/cancellation.h"
#include "node/exports.h"

namespace fles::node {
namespace {

// Building must neither wait behind encoding nor take threads from searches. One thread keeps a builder's calls in
// order.
Executor& build_executor() {
  static auto* executor = new Executor(1);  // never destroyed, like the others
  return *executor;
}

std::vector<std::string> strings_from(const Napi::Value& value, const char* name) {
  if (!value.IsArray()) fail("ERR_ARGUMENT_TYPE", "%s are not an array", name);
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> strings(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Value string = array.Get(i);
    if (!string.IsString()) fail("ERR_ARGUMENT_TYPE", "%s[%u] is not a string", name, i);
    strings[i] = string.As<Napi::String>();
  }
  return strings;
}

std::string string_from(const Napi::Value& value, const char* name) {
  if (!value.IsString()) fail("ERR_ARGUMENT_TYPE", "%s is not a string", name);
  return value.As<Napi::String>();
}

std::vector<uint64_t> offsets_from(const Napi::Value& value) {
  const std::vector<double> numbers = array_of<double>(value, "offsets");
  std::vector<uint64_t> offsets(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!(numbers[i] >= 0 && numbers[i] <= 9007199254740991.0)) {
      fail("ERR_ARGUMENT_VALUE", "offsets[%zu] is %g, expected 0..2^53-1", i, numbers[i]);
    }
    offsets[i] = static_cast<uint64_t>(numbers[i]);
  }
  return offsets;
}

Napi::String to_string(Napi::Env env, std::string_view text) {
  return Napi::String::New(env, text.data(), text.size());
}

class NativeIndexBuilder : public Napi::ObjectWrap<NativeIndexBuilder> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeIndexBuilder",
        {InstanceMethod<&NativeIndexBuilder::append>("append"), InstanceMethod<&NativeIndexBuilder::finish>("finish"),
         InstanceMethod<&NativeIndexBuilder::dispose>("dispose")});
  }
  // constructor(directory: string, blockBits?: number)
  explicit NativeIndexBuilder(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeIndexBuilder>(info) {
    guarded(info.Env(), [&] {
      const int block_bits = info[1].IsNumber() ? info[1].As<Napi::Number>().Int32Value() : kBlockBits;
      builder_ = std::make_shared<IndexBuilder>(string_from(info[0], "directory"), block_bits);
    });
  }

 private:
  std::shared_ptr<IndexBuilder> alive() const {
    if (builder_ == nullptr) fail("ERR_DISPOSED", "the index builder has finished; start another");
    return builder_;
  }

  // append(names: string[], newTerms: string[], offsets: Float64Array, terms: Uint32Array, weights: Float32Array):
  //   Promise<void>
  Napi::Value append(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      return run_async(
          env, build_executor(),
          [builder = alive(), names = strings_from(info[0], "names"), new_terms = strings_from(info[1], "new terms"),
           offsets = offsets_from(info[2]), terms = array_of<uint32_t>(info[3], "terms"),
           weights = array_of<float>(info[4], "weights")] {
            builder->add_terms(new_terms);
            builder->append(names, offsets, terms, weights);
            return true;
          },
          [](Napi::Env e, bool&) -> Napi::Value { return e.Undefined(); });
    });
  }

  // finish(destination: string, overwrite: boolean, cancellation?: Cancellation): Promise<void>
  Napi::Value finish(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      std::shared_ptr<IndexBuilder> builder = alive();
      builder_.reset();
      return run_async(
          env, build_executor(),
          [builder = std::move(builder), destination = string_from(info[0], "destination"),
           overwrite = info[1].ToBoolean().Value(), cancelled = Cancellation::flag_of(info[2])] {
            builder->finish(destination, overwrite, *cancelled);
            return true;
          },
          [](Napi::Env e, bool&) -> Napi::Value { return e.Undefined(); });
    });
  }

  // dispose(): void   closes its files; calls under way end first
  void dispose(const Napi::CallbackInfo&) { builder_.reset(); }

  std::shared_ptr<IndexBuilder> builder_;
};

// Hits of several queries; those of query i are hits[ends[i - 1] .. ends[i]).
struct Found {
  std::shared_ptr<const InvertedIndex> index;
  std::vector<Hit> hits;
  std::vector<double> ends;
};

class NativeIndex : public Napi::ObjectWrap<NativeIndex> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeIndex",
                       {StaticMethod<&NativeIndex::open>("open"), InstanceMethod<&NativeIndex::search>("search"),
                        InstanceMethod<&NativeIndex::lexicon>("lexicon"), InstanceMethod<&NativeIndex::close>("close"),
                        InstanceAccessor<&NativeIndex::info>("info")});
  }
  explicit NativeIndex(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeIndex>(info) {
    if (!info[0].IsExternal()) throw to_js(info.Env(), "ERR_ARGUMENT_TYPE", "use NativeIndex.open()");
    index_ = *info[0].As<Napi::External<std::shared_ptr<const InvertedIndex>>>().Data();
  }

 private:
  // static open(directory: string): Promise<NativeIndex>
  static Napi::Value open(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      return run_async(
          env, Executor::search(),
          [path = string_from(info[0], "directory") + "/" + kIndexFile]() -> std::shared_ptr<const InvertedIndex> {
            return std::make_shared<const InvertedIndex>(path);
          },
          [](Napi::Env e, std::shared_ptr<const InvertedIndex>& index) -> Napi::Value {
            return constructor_of(e, "NativeIndex")
                .New({Napi::External<std::shared_ptr<const InvertedIndex>>::New(e, &index)});
          });
    });
  }

  std::shared_ptr<const InvertedIndex> alive() const {
    if (index_ == nullptr) fail("ERR_DISPOSED", "the index was closed; open it again");
    return index_;
  }

  // search(offsets: Float64Array, terms: Uint32Array, weights: Float32Array, k: number, algorithm: string,
  //   cancellation?: Cancellation): Promise<{ ends: Float64Array, documents: Uint32Array, scores: Float32Array,
  //   ids: string[] }>
  Napi::Value search(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      if (!info[3].IsNumber()) fail("ERR_ARGUMENT_TYPE", "k is not a number");
      return run_async(
          env, Executor::search(),
          [index = alive(), offsets = offsets_from(info[0]), terms = array_of<uint32_t>(info[1], "terms"),
           weights = array_of<float>(info[2], "weights"), k = info[3].As<Napi::Number>().Int64Value(),
           algorithm = string_from(info[4], "algorithm"), cancelled = Cancellation::flag_of(info[5])] {
            Found found{index, {}, {}};
            for (size_t i = 0; i + 1 < offsets.size(); ++i) {
              const uint64_t begin = offsets[i], end = offsets[i + 1];
              if (begin > end || end > terms.size() || end > weights.size()) {
                fail("ERR_ARGUMENT_VALUE", "offsets do not describe the rows of terms and weights");
              }
              const Query query{terms.data() + begin, weights.data() + begin, static_cast<size_t>(end - begin)};
              const std::vector<Hit> hits =
                  fles::search(*index, query, static_cast<size_t>(std::max<int64_t>(k, 0)), algorithm, *cancelled);
              found.hits.insert(found.hits.end(), hits.begin(), hits.end());
              found.ends.push_back(static_cast<double>(found.hits.size()));
            }
            return found;
          },
          [](Napi::Env e, Found& found) -> Napi::Value { return to_object(e, found); });
    });
  }

  static Napi::Value to_object(Napi::Env env, const Found& found) {
    const size_t count = found.hits.size();
    Napi::Array ids = Napi::Array::New(env, count);
    auto documents = Napi::Uint32Array::New(env, count);
    auto scores = Napi::Float32Array::New(env, count);
    for (size_t i = 0; i < count; ++i) {
      const auto [document, score] = found.hits[i];
      documents[i] = document;
      scores[i] = score;
      ids[static_cast<uint32_t>(i)] = to_string(env, found.index->name(document));
    }
    Napi::Object out = Napi::Object::New(env);
    out["ends"] = to_array(env, found.ends.data(), found.ends.size());
    out["documents"] = documents;
    out["scores"] = scores;
    out["ids"] = ids;
    return out;
  }

  // lexicon(): string[]   the term of each term id
  Napi::Value lexicon(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      const std::shared_ptr<const InvertedIndex> index = alive();
      Napi::Array terms = Napi::Array::New(env, index->terms());
      for (uint32_t i = 0; i < index->terms(); ++i) {
        const Napi::HandleScope scope(env);
        terms[i] = to_string(env, index->term(i));
      }
      return terms;
    });
  }

  // info: { documents: number, terms: number, postings: number, sections: number[], fileBytes: number }   sections has
  // the bytes of each section, in the order of the file
  Napi::Value info(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      const std::shared_ptr<const InvertedIndex> index = alive();
      const auto number = [&](uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); };
      Napi::Array sections = Napi::Array::New(env, kSections);
      for (uint32_t s = 0; s < kSections; ++s) sections[s] = number(index->layout().bytes[s]);
      Napi::Object out = Napi::Object::New(env);
      out["documents"] = number(index->documents());
      out["terms"] = number(index->terms());
      out["postings"] = number(index->postings());
      out["sections"] = sections;
      out["fileBytes"] = number(index->layout().file_bytes);
      return out;
    });
  }

  // close(): void   searches under way end first
  void close(const Napi::CallbackInfo&) { index_.reset(); }

  std::shared_ptr<const InvertedIndex> index_;
};

}  // namespace

void export_index(Napi::Env env, Napi::Object exports) {
  exports.Set("NativeIndexBuilder", NativeIndexBuilder::define(env));
  const Napi::Function index = NativeIndex::define(env);
  keep_constructor(env, "NativeIndex", index);
  exports.Set("NativeIndex", index);
}

}  // namespace fles::node

// The index without Node: builder and searches against brute force over small blocks, and a reader that no file
// crashes.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "index/builder.h"
#include "index/search.h"
#include "index/xxh64.h"
#include "thrown.h"

namespace fles {
namespace {

const std::atomic<bool> kGoOn{false};

struct Row {
  std::string name;
  std::vector<uint32_t> terms;
  std::vector<float> weights;
};

class IndexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fles-index-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string fresh() { return folder_ + "/" + std::to_string(count_++); }

  // Builds rows in batches of `batch` and gives the index's directory.
  std::string build(const std::vector<Row>& rows, size_t terms, int block_bits, size_t batch = 7,
                    size_t max_gathered = kMaxGathered) {
    const std::string work = fresh(), destination = fresh();
    std::filesystem::create_directory(work);
    IndexBuilder builder(work, block_bits, max_gathered);
    std::vector<std::string> lexicon;
    for (size_t t = 0; t < terms; ++t) lexicon.push_back("term" + std::to_string(t));
    builder.add_terms(lexicon);
    for (size_t begin = 0; begin < rows.size(); begin += batch) {
      std::vector<std::string> names;
      std::vector<uint64_t> offsets = {0};
      std::vector<uint32_t> all_terms;
      std::vector<float> all_weights;
      for (size_t i = begin; i < std::min(begin + batch, rows.size()); ++i) {
        names.push_back(rows[i].name);
        all_terms.insert(all_terms.end(), rows[i].terms.begin(), rows[i].terms.end());
        all_weights.insert(all_weights.end(), rows[i].weights.begin(), rows[i].weights.end());
        offsets.push_back(all_terms.size());
      }
      builder.append(names, offsets, all_terms, all_weights);
    }
    builder.finish(destination, true, kGoOn);
    return destination;
  }

  std::string folder_;
  int count_ = 0;
};

std::vector<Row> random_rows(std::mt19937& random, size_t documents, uint32_t terms, bool coarse) {
  std::vector<Row> rows(documents);
  for (size_t d = 0; d < documents; ++d) {
    rows[d].name = "d" + std::to_string(d);
    // Some stretches of documents are empty, so that terms miss whole blocks.
    if ((d / 50) % 3 == 2 && random() % 8 != 0) continue;
    std::set<uint32_t> chosen;
    for (uint32_t n = random() % 9; n > 0; --n) chosen.insert(random() % terms * (random() % terms) / terms);
    rows[d].terms.assign(chosen.begin(), chosen.end());
    std::shuffle(rows[d].terms.begin(), rows[d].terms.end(), random);
    for (size_t i = 0; i < rows[d].terms.size(); ++i) {
      rows[d].weights.push_back(coarse ? 0.5F * static_cast<float>(1 + random() % 3)
                                       : static_cast<float>(1 + random() % 100000) / 30000.0F);
    }
  }
  return rows;
}

std::vector<Hit> brute_force(const std::vector<Row>& rows, const Query& query, size_t k) {
  std::vector<Hit> hits;
  for (size_t d = 0; d < rows.size(); ++d) {
    float score = 0;
    for (size_t i = 0; i < query.count; ++i) {
      for (size_t j = 0; j < rows[d].terms.size(); ++j) {
        if (rows[d].terms[j] != query.terms[i]) continue;
        const volatile float product = query.weights[i] * rows[d].weights[j];  // rounded before it is added
        score += product;
      }
    }
    if (score > 0) hits.push_back({static_cast<uint32_t>(d), score});
  }
  std::sort(hits.begin(), hits.end(), ranks_before);
  if (hits.size() > k) hits.resize(k);
  return hits;
}

TEST_F(IndexTest, EveryAlgorithmReturnsWhatBruteForceReturns) {
  std::mt19937 random(1);
  for (const int block_bits : {0, 1, 3, 6, 7, 10, 16}) {
    for (const bool coarse : {false, true}) {
      const uint32_t terms = 5 + random() % 40;
      // One document a block needs as many blocks as documents; keep those few.
      const auto rows = random_rows(random, 1 + random() % (block_bits == 0 ? 200 : 900), terms, coarse);
      const InvertedIndex index(build(rows, terms, block_bits, 1 + random() % 300) + "/index.fles");
      ASSERT_EQ(index.documents(), rows.size());
      for (int q = 0; q < 20; ++q) {
        std::vector<uint32_t> order(terms);
        for (uint32_t t = 0; t < terms; ++t) order[t] = t;
        std::shuffle(order.begin(), order.end(), random);
        std::vector<float> weights(terms);
        for (float& weight : weights) weight = coarse ? 1.0F : static_cast<float>(1 + random() % 1000) / 333.0F;
        const Query query{order.data(), weights.data(), random() % std::min<size_t>(terms, 12)};
        for (const size_t k : {size_t{1}, size_t{10}, size_t{70}, size_t{5000}}) {
          const auto expected = brute_force(rows, query, k);
          for (const auto& algorithm : search_algorithms()) {
            const auto hits = search(index, query, k, algorithm.name, kGoOn);
            ASSERT_EQ(hits.size(), expected.size()) << algorithm.name << " block bits " << block_bits << " k " << k;
            for (size_t i = 0; i < hits.size(); ++i) {
              ASSERT_EQ(hits[i].document, expected[i].document) << algorithm.name << " rank " << i;
              ASSERT_EQ(hits[i].score, expected[i].score) << algorithm.name << " rank " << i;
            }
          }
        }
      }
    }
  }
}

TEST_F(IndexTest, EqualScoresGoToTheLowerDocumentInWhateverOrderTheyAreMet) {
  std::vector<Row> rows(4000);
  for (size_t d = 0; d < rows.size(); ++d) rows[d].name = std::to_string(d);
  for (uint32_t n = 0; n < 200; ++n) {
    rows[2000 + n].terms = {0};
    rows[n].terms = {1};
    rows[n].weights = rows[2000 + n].weights = {1};
  }
  const InvertedIndex index(build(rows, 2, 12) + "/index.fles");
  const std::vector<uint32_t> terms = {0, 1};
  const std::vector<float> weights = {1, 1};
  for (const auto& algorithm : search_algorithms()) {
    const auto hits = search(index, {terms.data(), weights.data(), 2}, 10, algorithm.name, kGoOn);
    ASSERT_EQ(hits.size(), 10U);
    for (uint32_t i = 0; i < hits.size(); ++i) EXPECT_EQ(hits[i].document, i) << algorithm.name;
  }
}

TEST_F(IndexTest, ScoresBelowTheSmallestFloatAndAboveTheLargestAreHandledAlike) {
  const std::vector<Row> rows = {
      {"tiny", {0, 1}, {1e-40F, 1e-30F}}, {"huge", {0, 1}, {3e38F, 3e38F}}, {"one", {1}, {1}}};
  const InvertedIndex index(build(rows, 2, 4) + "/index.fles");
  const std::vector<uint32_t> terms = {0, 1};
  for (const float weight : {1e-40F, 1e-20F, 1.0F, 3e38F}) {
    const std::vector<float> weights = {weight, weight};
    const Query query{terms.data(), weights.data(), 2};
    const auto expected = brute_force(rows, query, 3);
    for (const auto& algorithm : search_algorithms()) {
      const auto hits = search(index, query, 3, algorithm.name, kGoOn);
      ASSERT_EQ(hits.size(), expected.size());
      for (size_t i = 0; i < hits.size(); ++i) {
        EXPECT_EQ(hits[i].document, expected[i].document);
        EXPECT_EQ(hits[i].score, expected[i].score);
      }
    }
  }
}

TEST_F(IndexTest, NamesAndTermsComeBack) {
  const InvertedIndex index(build({{"", {1}, {2}}, {"b", {}, {}}, {"\xC3\xA9", {0, 1}, {1, 1}}}, 3, 1) + "/index.fles");
  EXPECT_EQ(index.name(0), "");
  EXPECT_EQ(index.name(2), "\xC3\xA9");
  EXPECT_EQ(index.term(2), "term2");
  EXPECT_EQ(index.terms(), 3U);
  EXPECT_EQ(index.postings(), 3U);
}

TEST_F(IndexTest, RowsThatDoNotFitAreRefused) {
  EXPECT_EQ(thrown_code([&] { build({{"a", {0}, {1}}, {"a", {0}, {1}}}, 1, 4); }), "ERR_ID_DUPLICATE");
  EXPECT_EQ(thrown_code([&] { build({{"a", {0, 0}, {1, 1}}}, 1, 4); }), "ERR_TERM_DUPLICATE");
  EXPECT_EQ(thrown_code([&] { build({{"a", {1}, {1}}}, 1, 4); }), "ERR_ARGUMENT_VALUE");
  for (const float bad : {0.0F, -1.0F, std::nanf(""), HUGE_VALF}) {
    EXPECT_EQ(thrown_code([&] { build({{"a", {0}, {bad}}}, 1, 4); }), "ERR_WEIGHT_RANGE");
  }
  EXPECT_EQ(thrown_code([&] { build({}, 1, 17); }), "ERR_ARGUMENT_VALUE");
  EXPECT_EQ(thrown_code([&] { IndexBuilder builder(folder_ + "/missing"); }), "ERR_FILE_NOT_FOUND");
  const std::string work = fresh();
  std::filesystem::create_directory(work);
  IndexBuilder builder(work);
  EXPECT_EQ(thrown_code([&] { builder.add_terms({"x", "x"}); }), "ERR_TERM_DUPLICATE");
  EXPECT_EQ(thrown_code([&] { builder.append({"a"}, {0, 2}, {0}, {1}); }), "ERR_ARGUMENT_LENGTH");
  EXPECT_EQ(thrown_code([&] { builder.append({"a", "b"}, {0, 2, 1}, {0}, {1}); }), "ERR_ARGUMENT_VALUE");
}

TEST_F(IndexTest, AFullIndexSaysWhatToDo) {
  std::vector<Row> rows(max_documents(0) + 1);
  for (size_t d = 0; d < rows.size(); ++d) rows[d].name = std::to_string(d);
  std::string message;
  EXPECT_EQ(thrown_code([&] { build(rows, 1, 0, rows.size()); }, &message), "ERR_INDEX_FULL");
  EXPECT_NE(message.find("65535 documents at most; split the collection"), std::string::npos) << message;
}

TEST_F(IndexTest, CancelledBuildsAndSearchesStop) {
  const std::atomic<bool> cancelled{true};
  const std::string work = fresh();
  std::filesystem::create_directory(work);
  IndexBuilder builder(work);
  builder.add_terms({"x"});
  builder.append({"a"}, {0, 1}, {0}, {1});
  EXPECT_EQ(thrown_code([&] { builder.finish(fresh(), true, cancelled); }), "ERR_ABORTED");
  const InvertedIndex index(build({{"a", {0}, {1}}}, 1, 4) + "/index.fles");
  const uint32_t term = 0;
  const float weight = 1;
  for (const auto& algorithm : search_algorithms()) {
    EXPECT_EQ(thrown_code([&] { search(index, {&term, &weight, 1}, 1, algorithm.name, cancelled); }), "ERR_ABORTED");
  }
}

TEST_F(IndexTest, QueriesThatDoNotFitAreRefused) {
  const InvertedIndex index(build({{"a", {0}, {1}}}, 2, 4) + "/index.fles");
  const auto code = [&](std::vector<uint32_t> terms, std::vector<float> weights, size_t k, const char* algorithm) {
    return thrown_code([&] { search(index, {terms.data(), weights.data(), terms.size()}, k, algorithm, kGoOn); });
  };
  EXPECT_EQ(code({0}, {1}, 1, "exhaustive"), "");
  EXPECT_EQ(code({2}, {1}, 1, "exhaustive"), "ERR_ARGUMENT_VALUE");
  EXPECT_EQ(code({1, 0, 1}, {1, 1, 1}, 1, "exhaustive"), "ERR_TERM_DUPLICATE");
  const std::vector<uint32_t> twice = {1, 0, 1};
  const std::vector<float> ones = {1, 1, 1};
  std::string message;
  thrown_code([&] { search(index, {twice.data(), ones.data(), 3}, 1, "exhaustive", kGoOn); }, &message);
  EXPECT_NE(message.find("\"term1\" twice"), std::string::npos) << message;
  EXPECT_EQ(code({0}, {0}, 1, "exhaustive"), "ERR_WEIGHT_RANGE");
  EXPECT_EQ(code({0}, {std::nanf("")}, 1, "exhaustive"), "ERR_WEIGHT_RANGE");
  EXPECT_EQ(code({0}, {1}, 0, "exhaustive"), "ERR_OPTION_RANGE");
  EXPECT_EQ(code({0}, {1}, 1, "fastest"), "ERR_OPTION_VALUE");
}

// Values of the reference implementation.
TEST(Xxh64, MatchesTheReferenceImplementation) {
  EXPECT_EQ(xxh64("", 0), 0xEF46DB3751D8E999U);
  EXPECT_EQ(xxh64("abc", 3), 0x44BC2CF5AD770999U);
  const std::string text = "Nobody inspects the spammish repetition";  // 39 bytes: lanes and every kind of tail
  EXPECT_EQ(xxh64(text.data(), text.size()), 0xFBCEA83C8A378BF1U);
}

// Damaged files.

std::vector<uint8_t> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Gives every checksum the value that fits, where the header's counts still describe the file.
void forge_checksums(std::vector<uint8_t>& bytes) {
  IndexHeader header;
  if (bytes.size() < sizeof header + sizeof(IndexTrailer)) return;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.checksum = xxh64(&header, offsetof(IndexHeader, checksum));
  std::memcpy(bytes.data(), &header, sizeof header);
  for (const uint64_t count :
       {header.documents, header.terms, header.postings, header.segments, header.lexicon_bytes, header.names_bytes}) {
    if (count > bytes.size()) return;
  }
  const IndexLayout layout = layout_of(header);
  if (layout.file_bytes != bytes.size()) return;
  IndexTrailer trailer;
  for (int s = 0; s < kSections; ++s) {
    const uint64_t size = layout.offset[s + 1] - layout.offset[s];
    std::vector<uint64_t> chunks;
    for (uint64_t at = 0; at < size; at += kChecksumChunk) {
      chunks.push_back(xxh64(bytes.data() + layout.offset[s] + at, std::min(kChecksumChunk, size - at)));
    }
    trailer.checksums[s] = section_checksum(chunks);
  }
  trailer.checksum = xxh64(&trailer, offsetof(IndexTrailer, checksum));
  std::memcpy(bytes.data() + layout.offset[kSections], &trailer, sizeof trailer);
}

// Opens the bytes and, if they open, reads and searches all of it. Gives the code of the error.
std::string use(const std::string& path, const std::vector<uint8_t>& bytes) {
  {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  return thrown_code([&] {
    const InvertedIndex index(path);
    std::vector<uint32_t> terms;
    std::vector<float> weights;
    size_t text = 0;
    for (uint32_t t = 0; t < index.terms(); ++t) {
      text += index.term(t).size();
      if (terms.size() < 64) terms.push_back(t);
      if (weights.size() < 64) weights.push_back(1);
    }
    const Query query{terms.data(), weights.data(), terms.size()};
    for (const auto& algorithm : search_algorithms()) {
      for (const Hit& hit : search(index, query, 1000, algorithm.name, kGoOn)) text += index.name(hit.document).size();
    }
    ASSERT_LE(text, 1000000U);
  });
}

TEST_F(IndexTest, TheFileDoesNotDependOnHowManyPostingsAreGatheredAtATime) {
  std::mt19937 random(9);
  for (const int block_bits : {0, 3, 6, 15}) {
    const auto rows = random_rows(random, 400, 30, false);
    const auto expected = read_file(build(rows, 30, block_bits) + "/index.fles");
    for (const size_t max_gathered : {size_t{1}, size_t{2}, size_t{17}, size_t{100}}) {
      EXPECT_EQ(read_file(build(rows, 30, block_bits, 7, max_gathered) + "/index.fles"), expected)
          << "block bits " << block_bits << ", " << max_gathered << " postings";
    }
  }
  EXPECT_EQ(thrown_code([&] { build({{"a", {0}, {1}}, {"b", {1, 1}, {1, 1}}}, 2, 4, 7, 1); }), "ERR_TERM_DUPLICATE");
}

TEST_F(IndexTest, NoMutatedFileCrashesTheReader) {
  std::mt19937 random(20240607);
  const std::string path = folder_ + "/mutated.fles";
  std::map<std::string, int> codes;
  for (const int block_bits : {2, 5, 15}) {
    const auto good = read_file(build(random_rows(random, 150, 20, false), 20, block_bits) + "/index.fles");
    ASSERT_EQ(use(path, good), "");
    for (int round = 0; round < 1500; ++round) {
      std::vector<uint8_t> bytes = good;
      for (uint32_t n = 1 + random() % 4; n > 0; --n) {
        // Half of the time in the header or where the directory of postings is: it is what decides addresses.
        const size_t at = random() % 2 == 0 ? random() % 128 : random() % bytes.size();
        switch (random() % 4) {
          case 0:
            bytes[at] ^= static_cast<uint8_t>(1U << (random() % 8));
            break;
          case 1:
            bytes[at] = static_cast<uint8_t>(random());
            break;
          case 2:
            bytes[at] = random() % 2 == 0 ? 0xFF : 0;
            break;
          default:
            if (at + 8 <= bytes.size()) {
              const uint64_t value = uint64_t{random()} << (random() % 33);
              std::memcpy(bytes.data() + at / 8 * 8, &value, 8);
            }
        }
      }
      if (random() % 10 == 0) bytes.resize(random() % (bytes.size() + 100));
      // A forged file has checksums that fit, so that the reader must find the damage by itself.
      if (random() % 4 != 0) forge_checksums(bytes);
      ++codes[use(path, bytes)];
    }
  }
  // The mutations must have reached every line of defence.
  for (const char* code : {"ERR_INDEX_MAGIC", "ERR_INDEX_VERSION", "ERR_INDEX_HEADER", "ERR_INDEX_CHECKSUM",
                           "ERR_INDEX_STRUCTURE", "ERR_FILE_TRUNCATED"}) {
    EXPECT_GT(codes[code], 10) << code;
  }
}

TEST_F(IndexTest, ForgedNumbersInTheDirectoryOfPostingsAreRefused) {
  std::mt19937 random(3);
  const auto good = read_file(build(random_rows(random, 300, 10, false), 10, 5) + "/index.fles");
  IndexHeader header;
  std::memcpy(&header, good.data(), sizeof header);
  const IndexLayout layout = layout_of(header);
  const std::string path = folder_ + "/forged.fles";
  for (const Section section :
       {kTermPostings, kTermSegments, kSegmentBlocks, kSegmentBegins, kLexiconOffsets, kNameOffsets}) {
    const size_t width = section == kSegmentBlocks ? 2 : section == kSegmentBegins ? 4 : 8;
    for (uint64_t at = 0; at + width <= layout.bytes[section]; at += width) {
      std::vector<uint8_t> bytes = good;
      std::memset(bytes.data() + layout.offset[section] + at, 0xFF, width);
      forge_checksums(bytes);
      EXPECT_EQ(use(path, bytes), "ERR_INDEX_STRUCTURE") << kSectionNames[section] << " at " << at;
    }
  }
  std::vector<uint8_t> repeated = good;
  uint8_t* second_block = repeated.data() + layout.offset[kSegmentBlocks] + 2;
  std::memcpy(second_block, second_block - 2, 2);
  forge_checksums(repeated);
  EXPECT_EQ(use(path, repeated), "ERR_INDEX_STRUCTURE") << "a block twice";
  for (uint64_t p = 0; p < header.postings; p += 7) {
    std::vector<uint8_t> bytes = good;
    std::memset(bytes.data() + layout.offset[kDocumentIds] + 2 * p, 0xFF, 2);
    forge_checksums(bytes);
    EXPECT_EQ(use(path, bytes), "ERR_INDEX_STRUCTURE");
    for (const float bad : {0.0F, -1.0F, std::nanf(""), HUGE_VALF}) {
      bytes = good;
      std::memcpy(bytes.data() + layout.offset[kWeights] + 4 * p, &bad, 4);
      forge_checksums(bytes);
      EXPECT_EQ(use(path, bytes), "ERR_INDEX_STRUCTURE");
    }
  }
}

}  // namespace
}  // namespace fles

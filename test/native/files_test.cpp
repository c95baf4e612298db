// Errors, MappedFile and FileWriter: what they promise about bounds and failing disks.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/file_writer.h"
#include "core/mapped_file.h"
#include "temporary_folder.h"
#include "thrown.h"

namespace fles {
namespace {

TEST(Error, CarriesAMessageOfAnyLength) {
  const std::string text(10'000, 'x');
  std::string message;
  EXPECT_EQ(thrown_code([&] { fail("ERR_TEST", "%s|%d", text.c_str(), 7); }, &message), "ERR_TEST");
  EXPECT_EQ(message, text + "|7");
}

TEST(Error, NamesThePathOfAFailedSystemCall) {
  const std::pair<int, const char*> expected[] = {{ENOENT, "ERR_FILE_NOT_FOUND"},  {EACCES, "ERR_FILE_ACCESS"},
                                                  {EROFS, "ERR_FILE_ACCESS"},      {ENOSPC, "ERR_DISK_FULL"},
                                                  {EDQUOT, "ERR_DISK_FULL"},       {EISDIR, "ERR_FILE_KIND"},
                                                  {ENAMETOOLONG, "ERR_FILE_NAME"}, {EIO, "ERR_FILE_IO"}};
  for (const auto& [number, code] : expected) {
    std::string message;
    EXPECT_EQ(thrown_code([&, n = number] { fail_system("open", "/some/path", n); }, &message), code);
    EXPECT_NE(message.find("/some/path"), std::string::npos) << message;
  }
}

TEST(MappedFile, GivesSlicesInsideTheFileAndNoOthers) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("ten", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(file.size(), 10U);
  EXPECT_EQ(*file.slice(9, 1, "the last"), 9);
  EXPECT_NO_THROW((void)file.slice(0, 10, "all"));
  EXPECT_NO_THROW((void)file.slice(10, 0, "nothing at the end"));
  const uint64_t most = UINT64_MAX;
  const std::pair<uint64_t, uint64_t> outside[] = {{0, 11},   {9, 2},    {10, 1},     {11, 0},
                                                   {most, 1}, {1, most}, {most, most}};
  for (const auto& [offset, bytes] : outside) {
    std::string message;
    EXPECT_EQ(thrown_code([&, o = offset, b = bytes] { (void)file.slice(o, b, "the part"); }, &message),
              "ERR_FILE_TRUNCATED")
        << offset << " " << bytes;
    EXPECT_NE(message.find("the part"), std::string::npos) << message;
  }
}

TEST(MappedFile, OpensAnEmptyFile) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("empty", {}));
  EXPECT_EQ(file.size(), 0U);
  EXPECT_EQ(thrown_code([&] { (void)file.slice(0, 1, "a byte"); }), "ERR_FILE_TRUNCATED");
}

TEST(MappedFile, RefusesWhatIsNotAFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(thrown_code([&] { MappedFile file(folder / "absent"); }), "ERR_FILE_NOT_FOUND");
  EXPECT_EQ(thrown_code([&] { MappedFile file(folder / "."); }), "ERR_FILE_KIND");
  EXPECT_EQ(thrown_code([&] { MappedFile file("/dev/null"); }), "ERR_FILE_KIND");
  EXPECT_EQ(thrown_code([&] { MappedFile file(folder.write("file", {1}) + "/below"); }), "ERR_FILE_KIND");
}

TEST(MappedFile, KeepsItsBytesWhenItIsMoved) {
  const TemporaryFolder folder;
  MappedFile file(folder.write("one", {42}));
  const MappedFile moved(std::move(file));
  EXPECT_EQ(*moved.slice(0, 1, "it"), 42);
}

TEST(FileWriter, WritesWhatItWasGivenAcrossItsBuffer) {
  const TemporaryFolder folder;
  std::vector<uint8_t> expected;
  {
    FileWriter file(folder / "out");
    // Parts that end before, at and beyond the end of the buffer of 1 MiB.
    for (const size_t size : {size_t{1}, size_t{1} << 20, (size_t{1} << 20) - 1, size_t{0}, size_t{5} << 20}) {
      std::vector<uint8_t> part(size);
      for (size_t i = 0; i < size; ++i) part[i] = static_cast<uint8_t>(i * 31 + size);
      file.write(part.data(), part.size());
      expected.insert(expected.end(), part.begin(), part.end());
      EXPECT_EQ(file.position(), expected.size());
    }
    file.sync();
  }
  EXPECT_TRUE(TemporaryFolder::read(folder / "out") == expected);
}

TEST(FileWriter, ReportsAFullDisk) {
  struct stat status{};
  if (::stat("/dev/full", &status) != 0) GTEST_SKIP() << "this system has no /dev/full";
  const std::vector<uint8_t> bytes(3 << 20);
  EXPECT_EQ(thrown_code([&] { FileWriter("/dev/full").write(bytes.data(), bytes.size()); }), "ERR_DISK_FULL");
  EXPECT_EQ(thrown_code([&] {
              FileWriter file("/dev/full");
              file.write(bytes.data(), 1);
              file.sync();
            }),
            "ERR_DISK_FULL")
      << "a byte that was only buffered";
}

TEST(FileWriter, RefusesAPathThatCannotBeCreated) {
  const TemporaryFolder folder;
  EXPECT_EQ(thrown_code([&] { FileWriter file(folder / "absent/out"); }), "ERR_FILE_NOT_FOUND");
  EXPECT_EQ(thrown_code([&] { FileWriter file(folder.write("file", {1}) + "/out"); }), "ERR_FILE_KIND");
  EXPECT_EQ(thrown_code([&] { FileWriter file(folder / "."); }), "ERR_FILE_KIND");
}

TEST(RenameDurably, ReplacesTheOldFile) {
  const TemporaryFolder folder;
  folder.write("old", {1});
  rename_durably(folder.write("new", {2}), folder / "old");
  EXPECT_EQ(TemporaryFolder::read(folder / "old"), std::vector<uint8_t>{2});
  EXPECT_EQ(thrown_code([&] { rename_durably(folder / "absent", folder / "old"); }), "ERR_FILE_NOT_FOUND");
}

TEST(RenameDurably, SucceedsWhereTheFolderCannotBeOpened) {
  const TemporaryFolder folder;
  const std::string from = folder.write("new", {2}), to = folder / "old";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const std::string code = thrown_code([&] { rename_durably(from, to); });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(code, "");
  EXPECT_EQ(TemporaryFolder::read(to), std::vector<uint8_t>{2});
}

}  // namespace
}  // namespace fles

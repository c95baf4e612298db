// ThreadPool and Executor: who runs what, how often, and what happens to exceptions; how many threads there are.
#include "core/threads.h"
#include "core/error.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/executor.h"
#include "temporary_folder.h"
#include "thrown.h"

namespace fles {
namespace {

// How often each index of 0..count-1 ran.
std::vector<int> runs_of(ThreadPool& pool, int64_t count) {
  std::vector<std::atomic<int>> runs(count);
  pool.parallel_for(count, [&](int64_t i, int) { runs.at(i).fetch_add(1); });
  return {runs.begin(), runs.end()};
}

TEST(ThreadPool, RunsEveryIndexExactlyOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const int64_t count : {0, 1, 2, 3, 7, 8, 9, 1000}) {
      EXPECT_EQ(runs_of(pool, count), std::vector<int>(count, 1)) << threads << " threads, " << count << " indices";
    }
  }
}

TEST(ThreadPool, RunsOneBodyAtATimeUnderEachThreadNumber) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(pool.size());
  std::atomic<bool> overlapped = false;
  pool.parallel_for(500, [&](int64_t, int thread) {
    if (inside.at(thread).fetch_add(1) != 0) overlapped = true;
    std::this_thread::yield();
    inside.at(thread).fetch_sub(1);
  });
  EXPECT_FALSE(overlapped);
}

TEST(ThreadPool, RunsANestedCallOnTheThreadThatMakesIt) {
  ThreadPool pool(3);
  std::vector<std::atomic<int>> runs(20 * 30);
  std::atomic<bool> moved = false;
  pool.parallel_for(20, [&](int64_t i, int) {
    const std::thread::id outer = std::this_thread::get_id();
    pool.parallel_for(30, [&](int64_t j, int) {
      if (std::this_thread::get_id() != outer) moved = true;
      runs.at(i * 30 + j).fetch_add(1);
    });
  });
  EXPECT_FALSE(moved);
  for (const auto& count : runs) EXPECT_EQ(count, 1);
}

TEST(ThreadPool, ServesTwoCallersAtOnce) {
  ThreadPool pool(2);
  std::vector<int> first, second;
  std::thread other([&] { second = runs_of(pool, 5000); });
  first = runs_of(pool, 5000);
  other.join();
  EXPECT_EQ(first, std::vector<int>(5000, 1));
  EXPECT_EQ(second, std::vector<int>(5000, 1));
}

TEST(ThreadPool, ThrowsTheExceptionOfABodyOnceTheOthersHaveStopped) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    std::atomic<int> inside = 0;
    const auto body = [&](int64_t i, int) {
      inside.fetch_add(1);
      std::this_thread::yield();
      inside.fetch_sub(1);
      if (i == 17) throw std::runtime_error("seventeen");
    };
    try {
      pool.parallel_for(1000, body);
      ADD_FAILURE() << "nothing was thrown with " << threads << " threads";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "seventeen");
    }
    EXPECT_EQ(inside, 0);
    EXPECT_EQ(runs_of(pool, 100), std::vector<int>(100, 1)) << "the pool works on after an exception";
  }
}

TEST(ThreadPool, ThrowsTheExceptionOfANestedBody) {
  ThreadPool pool(3);
  const auto nested = [&](int64_t, int) {
    pool.parallel_for(2, [](int64_t, int) { throw std::runtime_error("inner"); });
  };
  EXPECT_THROW(pool.parallel_for(10, nested), std::runtime_error);
}

TEST(ThreadPool, EndsWhileItsThreadsAreStillWakingUp) {
  std::atomic<int> calls = 0;
  for (int round = 0; round < 2'000; ++round) {
    ThreadPool pool(16);
    pool.parallel_for(2, [&](int64_t, int) { ++calls; });
  }
  EXPECT_EQ(calls, 4'000);
}

TEST(ThreadPool, HasAsManyThreadsAsTheEnvironmentAsksFor) {
  const char* before = std::getenv("FLES_NUM_THREADS");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("FLES_NUM_THREADS", "3", 1);
  EXPECT_EQ(default_thread_count(), 3);
  for (const char* nonsense : {"0", "-2", "many", "2x", "99999"}) {
    ::setenv("FLES_NUM_THREADS", nonsense, 1);
    try {
      default_thread_count();
      ADD_FAILURE() << nonsense << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), "ERR_NUM_THREADS");
    }
  }
  ::setenv("FLES_NUM_THREADS", "", 1);
  EXPECT_GE(default_thread_count(), 1);
  EXPECT_LE(default_thread_count(), static_cast<int>(std::thread::hardware_concurrency()));
  if (before == nullptr)
    ::unsetenv("FLES_NUM_THREADS");
  else
    ::setenv("FLES_NUM_THREADS", kept.c_str(), 1);
}

TEST(Executor, RunsTheJobsOfOneThreadInTheOrderTheyCame) {
  std::vector<int> order;
  {
    Executor executor(1);
    for (int i = 0; i < 200; ++i) executor.submit([&order, i] { order.push_back(i); });
  }
  ASSERT_EQ(order.size(), 200U);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(order[i], i);
}

TEST(Executor, FinishesTheJobsItHasBeforeItEnds) {
  std::atomic<int> done = 0;
  {
    Executor executor(3);
    for (int i = 0; i < 300; ++i) {
      executor.submit([&done] {
        std::this_thread::yield();
        done.fetch_add(1);
      });
    }
  }
  EXPECT_EQ(done, 300);
}

TEST(Executor, DropsAJobAsSoonAsItHasRun) {
  const auto captured = std::make_shared<int>(7);
  Executor executor(1);
  executor.submit([captured] {});
  std::atomic<bool> reached = false;
  executor.submit([&reached] { reached = true, reached.notify_one(); });
  reached.wait(false);
  EXPECT_EQ(captured.use_count(), 1);
}

// The quota that a machine with these files grants.
int quota_with(const std::map<std::string, std::string>& files) {
  const TemporaryFolder root;
  for (const auto& [path, content] : files) {
    std::filesystem::create_directories(std::filesystem::path(root / path).parent_path());
    root.write(path, {content.begin(), content.end()});
  }
  return cgroup_quota(root / ".");
}

TEST(CgroupQuota, IsTheLeastFromTheCgroupOfTheProcessUpToTheTop) {
  const std::string own = "proc/self/cgroup", top = "sys/fs/cgroup/";
  EXPECT_EQ(quota_with({}), 0);
  EXPECT_EQ(quota_with({{top + "cpu.max", "200000 100000\n"}}), 2) << "seen from inside a container";
  EXPECT_EQ(quota_with({{own, "0::/\n"}, {top + "cpu.max", "max 100000\n"}}), 0);
  EXPECT_EQ(quota_with({{own, "0::/a/b\n"}, {top + "a/b/cpu.max", "250000 100000\n"}}), 3) << "rounded up";
  EXPECT_EQ(
      quota_with({{own, "0::/a/b\n"}, {top + "a/cpu.max", "50000 100000\n"}, {top + "a/b/cpu.max", "max 100000\n"}}),
      1);
  EXPECT_EQ(quota_with({{own, "0::/a/b\n"},
                        {top + "a/cpu.max", "800000 100000\n"},
                        {top + "a/b/cpu.max", "400000 100000\n"},
                        {top + "other/cpu.max", "100000 100000\n"}}),
            4);
  EXPECT_EQ(quota_with({{own, "0::/on/the/host\n"}, {top + "cpu.max", "300000 100000\n"}}), 3);
}

TEST(CgroupQuota, IsReadInTheFirstVersionToo) {
  const std::string own = "proc/self/cgroup", top = "sys/fs/cgroup/";
  const auto files = [&](const std::string& folder, const char* quota) -> std::map<std::string, std::string> {
    return {{own, "9:cpuset:/\n4:cpu,cpuacct:/a/b\n0::/x\n"},
            {top + folder + "/cpu.cfs_quota_us", quota},
            {top + folder + "/cpu.cfs_period_us", "100000\n"}};
  };
  EXPECT_EQ(quota_with(files("cpu", "150000\n")), 2);
  EXPECT_EQ(quota_with(files("cpu/a", "150000\n")), 2);
  EXPECT_EQ(quota_with(files("cpu,cpuacct/a/b", "150000\n")), 2);
  EXPECT_EQ(quota_with(files("cpu/a/b", "-1\n")), 0);
  EXPECT_EQ(quota_with(files("cpuset/a", "150000\n")), 0);
}

// Runs `check` in a process that may start `more` threads and no others, and expects it to return true. A limit on the
// processes of a user does not hold for root, and counts those of other programs: the process becomes a user of its
// own.
void expect_with_threads(unsigned more, bool (*check)()) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become a user of its own";
  const auto in_child = [&] {
    const rlimit limit{1 + more, 1 + more};
    if (::setuid(54'321) != 0 || ::setrlimit(RLIMIT_NPROC, &limit) != 0) std::_Exit(2);
    std::_Exit(check() ? 0 : 1);
  };
  EXPECT_EXIT(in_child(), ::testing::ExitedWithCode(0), "");
}

TEST(ThreadPool, GoesOnWithTheThreadsThatCanBeStarted) {
  expect_with_threads(2, [] {
    ThreadPool pool(8);
    return pool.size() == 3 && runs_of(pool, 1000) == std::vector<int>(1000, 1);
  });
  expect_with_threads(0, [] {
    ThreadPool pool(8);
    return pool.size() == 1 && runs_of(pool, 1000) == std::vector<int>(1000, 1);
  });
}

TEST(Executor, GoesOnWithTheThreadsThatCanBeStarted) {
  expect_with_threads(2, [] {
    std::atomic<int> done = 0;
    {
      Executor executor(8);
      for (int i = 0; i < 100; ++i) executor.submit([&done] { done.fetch_add(1); });
    }
    return done == 100;
  });
  expect_with_threads(0, [] {
    std::string message;
    return thrown_code([] { Executor executor(8); }, &message) == "ERR_THREAD_START" &&
           message.starts_with("0 of 8 threads") && message.find("FLES_NUM_THREADS") != std::string::npos;
  });
}

}  // namespace
}  // namespace fles

// Shapes, dtypes, storage, threads, Philox and the floating-point environment.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "chainrule/config.hpp"
#include "chainrule/tensor.hpp"
#include "core/float_environment.hpp"
#include "core/parallel.hpp"
#include "core/philox.hpp"
#include "core/storage.hpp"

using namespace chainrule;

TEST_CASE("shape: mixed integer types, text, overflow") {
  const std::size_t n = 3;
  const Shape shape{n, 64};
  CHECK(shape.str() == "(3, 64)");
  CHECK(Shape{5}.str() == "(5,)");
  CHECK(Shape{}.str() == "()");
  CHECK(Shape{}.size() == 1);
  CHECK_THROWS_WITH_AS(Shape({std::int64_t{1} << 40, std::int64_t{1} << 40}).checked_size("empty"),
                       "empty: too many elements: shape is (1099511627776, 1099511627776); use a smaller shape",
                       ShapeError);
  CHECK_THROWS_WITH_AS(Shape({2, -1}).checked_size("empty"),
                       "empty: a size is negative: shape is (2, -1); sizes must be 0 or more", ShapeError);
  CHECK_THROWS_AS((Dims{1, 2, 3, 4, 5, 6, 7, 8, 9}), ShapeError);
}

TEST_CASE("promotion follows NumPy and refuses two float dtypes") {
  CHECK(promote(DType::int32, DType::float32, "add") == DType::float64);
  CHECK(promote(DType::uint8, DType::float32, "add") == DType::float32);
  CHECK(promote(DType::boolean, DType::int32, "add") == DType::int32);
  CHECK(promote(DType::int32, DType::int64, "add") == DType::int64);
  CHECK_THROWS_WITH_AS(
      promote(DType::float32, DType::float64, "add"),
      "add: operands have two float dtypes: float32 and float64; convert one, for instance with x.astype(\"float64\")",
      DTypeError);
  for (int a = 0; a < dtype_count; ++a)
    for (int b = 0; b < dtype_count; ++b) {
      const auto x = static_cast<DType>(a), y = static_cast<DType>(b);
      bool refused = false, refused_back = false;
      DType there{}, back{};
      try {
        there = promote(x, y, "t");
      } catch (const DTypeError&) { refused = true; }
      try {
        back = promote(y, x, "t");
      } catch (const DTypeError&) { refused_back = true; }
      CHECK(refused == refused_back);
      if (!refused) CHECK(there == back);
    }
}

TEST_CASE("philox4x32-10: the known answers of Random123") {
  // kat_vectors of the Random123 distribution: counter and key all zero, then all ones.
  const PhiloxBlock zero = philox(0, 0, 0, 0);
  CHECK(zero.word[0] == 0x6627e8d5u);
  CHECK(zero.word[1] == 0xe169c58du);
  CHECK(zero.word[2] == 0xbc57ac4cu);
  CHECK(zero.word[3] == 0x9b00dbd8u);
  const PhiloxBlock ones = philox(~std::uint64_t{0}, ~std::uint64_t{0}, ~0u, ~0u);
  CHECK(ones.word[0] == 0x408f276du);
  CHECK(ones.word[1] == 0x41c83b0eu);
  CHECK(ones.word[2] == 0xa20bc7c6u);
  CHECK(ones.word[3] == 0x6d5451fdu);
}

TEST_CASE("a team runs every thread, meets at its barrier, and can be larger than the machine") {
  for (const int threads : {1, 2, 3, 5}) {
    std::vector<int> seen(static_cast<std::size_t>(threads), 0);
    std::atomic<int> arrived{0};
    std::atomic<bool> together{true};
    run_team(threads, [&](int thread, Team& team) {
      for (int round = 1; round <= 20; ++round) {
        ++arrived;
        team.barrier.wait();
        if (arrived.load() < round * team.size) together = false;
        team.barrier.wait();
      }
      ++seen[static_cast<std::size_t>(thread)];
    });
    CHECK(together.load());
    for (const int count : seen) CHECK(count == 1);
  }
}

TEST_CASE("every thread of a program has a team of its own, again and again") {
  std::atomic<int> calls{0};
  const auto many = [&](int threads) {
    for (int round = 0; round < 200; ++round)
      run_team(threads, [&](int, Team& team) {
        team.barrier.wait();
        ++calls;
      });
  };
  std::thread first(many, 3), second(many, 2);
  many(2);
  first.join();
  second.join();
  CHECK(calls.load() == 200 * (3 + 2 + 2));
  std::atomic<int> inner{0};
  run_team(2, [&](int, Team&) { run_team(2, [&](int, Team& team) { inner += team.size; }); });
  CHECK(inner.load() == 2);  // a team within a team is one thread
}

TEST_CASE("inside another parallel region there is one thread") {
  run_team(2, [&](int thread, Team&) {
    if (thread == 0) CHECK(available_threads() == 1);
  });
  CHECK(available_threads() == num_threads());
  CHECK_THROWS_WITH_AS(set_num_threads(0), "set_num_threads: must be at least 1: 0", ValueError);
}

TEST_CASE("the host's floating-point environment comes back") {
  volatile double smallest = 4.9e-324;
  {
    const FloatEnvironment ours;
    volatile double flushed = smallest * 1.0;
    CHECK(flushed == 0.0);
  }
  volatile double kept = smallest * 1.0;
  CHECK(kept > 0.0);
}

TEST_CASE("storage moves with its contents and keeps its identity") {
  const auto storage = Storage::allocate(100);
  storage->data[42] = std::byte{7};
  const std::shared_ptr<void> arena(allocate_aligned(256), free_aligned);
  storage->move_to(arena.get(), arena);
  CHECK(storage->data == arena.get());
  CHECK(storage->data[42] == std::byte{7});
  CHECK(storage->moves == 1);
  CHECK(reinterpret_cast<std::uintptr_t>(Storage::allocate(1)->data) % 64 == 0);
}

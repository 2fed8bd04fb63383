// SmallVector against std::vector; what it holds is destroyed exactly once.
#include "core/small_vector.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <vector>

using chainrule::SmallVector;

namespace {
using Item = std::shared_ptr<int>;
using Small = SmallVector<Item, 3>;
using Plain = std::vector<Item>;
bool same(const Small& a, const Plain& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }
}  // namespace

TEST_CASE("a small vector does what a vector does, inside and outside of its own room") {
  const auto counted = std::make_shared<int>(1);
  {
    std::mt19937 random(1);
    Small a;
    Plain b;
    for (int step = 0; step < 2000; ++step) {
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
          a.push_back(counted);
          b.push_back(counted);
          break;
        case 3:
          if (!a.empty()) {
            a.pop_back();
            b.pop_back();
          }
          break;
        case 4: {
          const std::size_t n = random() % 7;
          a.resize(n);
          b.resize(n);
          break;
        }
        case 5: {
          Small copy = a;
          CHECK(copy == a);
          Small moved = std::move(copy);
          CHECK(copy.empty());
          copy = moved;
          a = std::move(copy);
          break;
        }
        case 6:
          if (!a.empty()) {
            a.push_back(a.front());  // an element of its own
            b.push_back(Item(b.front()));
          }
          break;
        default:
          a = Small(b.begin(), b.end());
      }
      REQUIRE(same(a, b));
    }
    a.assign(2, counted);
    CHECK(a.size() == 2);
    CHECK(a.back() == counted);
    CHECK(Small{counted, nullptr}.size() == 2);
    CHECK(Small(5, counted)[4] == counted);
    Small& self = a;
    a = self;
    CHECK(a.size() == 2);
  }
  CHECK(counted.use_count() == 1);
}

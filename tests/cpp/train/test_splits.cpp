// Parts and folds from C++; their properties are tested in tests/test_splits.py.
#include <doctest/doctest.h>

#include <set>

#include "chainrule/data_splits.hpp"
#include "chainrule/error.hpp"

using namespace chainrule;

TEST_CASE("split_parts: three parts, each row in one of them") {
  const data::Parts parts = data::split_parts(100, {.test = 0.2, .validation = 0.1, .seed = 3});
  CHECK(parts.train.size() == 70);
  CHECK(parts.validation.size() == 10);
  CHECK(parts.test == data::split_rows(100, 0.2, 3).second);
  std::set<std::int64_t> all(parts.train.begin(), parts.train.end());
  all.insert(parts.validation.begin(), parts.validation.end());
  all.insert(parts.test.begin(), parts.test.end());
  CHECK(all.size() == 100);
  CHECK(data::split_parts(10, {.test = 0.0}).train.size() == 10);
  CHECK_THROWS_AS(data::split_parts(2, {.test = 0.2, .validation = 0.2}), ValueError);
}

TEST_CASE("k_fold: options of C++") {
  const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, 0, 0, 1, 1, 1}, {6});
  for (const data::Fold& fold : data::k_fold(6, {.k = 3, .stratify = labels, .repeats = 2})) {
    CHECK(fold.validation.size() == 2);
    CHECK(fold.validation[0] < 3);
    CHECK(fold.validation[1] >= 3);
  }
  CHECK(data::labels_to_stratify(labels, 3).defined());
  CHECK(!data::labels_to_stratify(labels, 4).defined());
  CHECK(!data::labels_to_stratify(labels.astype(DType::float32), 2).defined());
}

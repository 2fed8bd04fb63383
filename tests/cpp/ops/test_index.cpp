// index, einsum and random draws as C++ programs write them. Their rules are compared with NumPy's in Python.
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "chainrule/transforms.hpp"
#include "doctest/doctest.h"

using namespace chainrule;

namespace {

std::vector<double> values(const Tensor& t) { return {t.span<double>().begin(), t.span<double>().end()}; }
const Tensor x = Tensor::from<double>({0, 1, 2, 3, 4, 5}, {2, 3});

}  // namespace

TEST_CASE("index: integers, slices, newaxis, ellipsis") {
  CHECK(values(x.index({1})) == std::vector<double>{3, 4, 5});
  CHECK(values(index(x, {ellipsis, -1})) == std::vector<double>{2, 5});
  CHECK(index(x, {0, newaxis, Slice{.step = 2}}).shape() == Shape{1, 2});
  CHECK(values(index(x, {Slice{}, Slice{{}, {}, -1}})) == std::vector<double>{2, 1, 0, 5, 4, 3});
  CHECK(x.index({}).shape() == x.shape());
  CHECK_THROWS_WITH_AS(x.index({2}), "index: 2 is out of bounds for axis 0 of shape (2, 3)", IndexError);
  CHECK_THROWS_WITH_AS(x.index({0, 0, 0}), "index: too many indices: 3 for a tensor of shape (2, 3)", IndexError);
}

TEST_CASE("index: tensors, and the gradient of an entry taken twice") {
  const Tensor rows = Tensor::from<std::int64_t>({0, 0, 1}, {3}), columns = Tensor::from<std::int32_t>({2, 2, 0}, {3});
  CHECK(values(index(x, {rows, columns})) == std::vector<double>{2, 2, 3});
  CHECK(values(index(x, {greater(x, 3)})) == std::vector<double>{4, 5});
  const Tensor g = grad([&](const Tensor& w) { return sum(index(w, {rows, columns})); })(x);
  CHECK(values(g) == std::vector<double>{0, 0, 2, 1, 0, 0});
  CHECK(values(take(x, rows, 1)) == std::vector<double>{0, 0, 1, 3, 3, 4});
}

TEST_CASE("einsum, stack, split, pad") {
  CHECK(values(einsum("ij,kj->ik", {x, x})) == std::vector<double>{5, 14, 14, 50});
  CHECK(stack({x, x}, 1).shape() == Shape{2, 2, 3});
  CHECK(values(split_at(x, {1}, 1)[0]) == std::vector<double>{0, 3});
  CHECK(values(pad(index(x, {0}), {{1, 0}}, {.mode = "edge"})) == std::vector<double>{0, 0, 1, 2});
  CHECK(values(pad(index(x, {0}), {{0, 1}}, {.value = 7})) == std::vector<double>{0, 1, 2, 7});
}

TEST_CASE("random: the seed decides, compiled functions draw anew in each run") {
  manual_seed(3);
  const Tensor first = random::normal({4}, {.dtype = DType::float64}),
               second = random::normal({4}, {.dtype = DType::float64});
  CHECK(values(first) != values(second));
  manual_seed(3);
  CHECK(values(random::normal({4}, {.dtype = DType::float64})) == values(first));
  const Compiled noisy = compile([](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{in[0] + random::uniform(in[0].shape(), {.low = 1, .high = 2, .dtype = DType::float64})};
  });
  CHECK(values(noisy(x)) != values(noisy(x)));
  CHECK(random::normal({3}, 1, 0).shape() == Shape{3});  // keyed: the initializers' draws
  manual_seed(0);                                        // as the other tests find it
}

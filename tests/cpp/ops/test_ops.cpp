// The registry as a whole, shape rules and their messages, and a few values; the case table in Python goes through all.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "chainrule/ops.hpp"
#include "graph/op.hpp"
#include "graph/tensor_data.hpp"

using namespace chainrule;

TEST_CASE("every op has its fields filled") {
  std::set<std::string_view> names;
  for (const Op& op : all_ops()) {
    CAPTURE(op.name);
    CHECK(names.insert(op.name).second);
    CHECK_FALSE(op.doc.empty());
    CHECK(op.version >= 1);
    CHECK(op.infer != nullptr);
    const bool without_kernel = op.view || op.run != nullptr;
    CHECK((op.plan != nullptr || without_kernel));
    bool any_kernel = without_kernel;
    for (const auto kernel : op.kernel) any_kernel |= kernel != nullptr;
    CHECK(any_kernel);
    const auto has_floats = [&] { return op.kernel[0] != nullptr && op.kernel[1] != nullptr; };
    switch (op.derivative) {
      case Derivative::composite:
        CHECK(op.decompose != nullptr);
        break;
      case Derivative::none:
      case Derivative::zero:
        break;
      default:
        CHECK(op.vjp != nullptr);
        CHECK(op.jvp != nullptr);
        CHECK((without_kernel || has_floats() || op.name.starts_with("cast_to_")));
    }
    if (op.elementwise) CHECK(op.batch == Batch::elementwise);
    CHECK((op.batch == Batch::rule) == (op.batch_rule != nullptr));
  }
  CHECK_THROWS_WITH_AS(find_op("nonsense"), "registry: no op of this name: 'nonsense'", IndexError);
}

TEST_CASE("shape errors name what was given and what to do") {
  const Tensor a = Tensor::ones({32, 100}), b = Tensor::ones({128, 100});
  CHECK_THROWS_WITH_AS(matmul(a, b), "matmul: inner sizes differ: a is (32, 100), b is (128, 100); did you mean b.T?",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      a + b,
      "add: shapes do not broadcast: (32, 100) and (128, 100); sizes must be equal or 1, counted from the last axis",
      ShapeError);
  CHECK_THROWS_WITH_AS(reshape(a, {7, -1}), "reshape: the number of elements differs: (32, 100) (3200) to (7, -1)",
                       ShapeError);
  CHECK_THROWS_WITH_AS(concat({a, Tensor::ones({2, 3})}, 0),
                       "concat: sizes differ outside the axis: (32, 100) and (2, 3) along axis 0", ShapeError);
  CHECK_THROWS_WITH_AS(sum(a, {2}), "sum: axis out of range: axis 2 of a tensor of rank 2", IndexError);
  CHECK_THROWS_WITH_AS(mean(Tensor::ones({0, 3}), {0}),
                       "mean: nothing to reduce: axis 0 of shape (0, 3) is empty; check for empty data", ShapeError);
  CHECK_THROWS_WITH_AS(where(a, a, a), "where: the condition is not bool: float32; compare first, for instance x > 0",
                       DTypeError);
  CHECK_THROWS_WITH_AS(
      softmax_cross_entropy(Tensor::zeros({2, 3}), Tensor::from(std::vector<std::int64_t>{0, 3}, {2})),
      "softmax_cross_entropy: a label is outside the classes: label 3, 3 classes; labels must be 0 ... 2; "
      "check the target, or set ignore_index",
      IndexError);
}

TEST_CASE("matmul: vectors, batches and flags agree with transposed operands") {
  const auto ramp = [](Shape shape) {
    Tensor t = Tensor::empty(shape, DType::float64);
    for (std::int64_t i = 0; i < t.size(); ++i)
      reinterpret_cast<double*>(bytes_of(t))[i] = std::sin(static_cast<double>(i));
    return t;
  };
  const Tensor a = ramp({2, 3, 4}), b = ramp({4, 5}), v = ramp({4});
  CHECK(matmul(a, b).shape() == Shape{2, 3, 5});
  CHECK(matmul(a, v).shape() == Shape{2, 3});
  CHECK(matmul(v, b).shape() == Shape{5});
  CHECK(matmul(v, v).shape() == Shape{});
  const Tensor plain = matmul(a, b), flagged = matmul(transpose(a, {0, 2, 1}), transpose(b), true, true);
  for (std::int64_t i = 0; i < plain.size(); ++i) CHECK(plain.data<double>()[i] == flagged.data<double>()[i]);
  CHECK(matmul(ramp({3, 1, 2, 4}), ramp({5, 4, 6})).shape() == Shape{3, 5, 2, 6});
}

TEST_CASE("sum of nothing is 0, and of integers is int64") {
  CHECK(sum(Tensor::ones({0, 3}), {0}).shape() == Shape{3});
  CHECK(sum(Tensor::ones({0, 3})).item() == 0.0);
  CHECK(sum(Tensor::ones({5}, DType::boolean)).dtype() == DType::int64);
  CHECK(var(Tensor::from(std::vector<float>{1, 2, 3, 4}, {4}), {}, false, 1).item() == doctest::Approx(5.0 / 3));
}

// Predictor: the bits of predict, copies and threads, refresh, allocations, messages.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <thread>

#include "allocations.hpp"
#include "chainrule/chainrule.hpp"
#include "train/prediction_plan.hpp"

using namespace chainrule;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw_data(), b.raw_data(), static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0;
}
// The widths have columns in panels, panels that are no whole cache lines, and a width that no panel fits.
nn::Sequential network(DType dtype = DType::float32) {
  return nn::Sequential{nn::Linear(40, 384, {.dtype = dtype, .seed = 1}),
                        nn::BatchNorm1d(384, {.dtype = dtype}),
                        nn::ReLU(),
                        nn::Linear(384, 300, {.dtype = dtype, .seed = 2}),
                        nn::Dropout(0.5),
                        nn::Tanh(),
                        nn::Linear(300, 257, {.dtype = dtype, .seed = 3}),
                        nn::Linear(257, 5, {.dtype = dtype, .seed = 4})};
}

// y, z = a @ w, a * mask + b
struct Pair final : nn::ModuleImpl {
  Pair() { add_parameter("w", random::normal({3, 200}, 1, 0)); }
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override {
    return {matmul(in[0], own_parameters()[0].tensor), where(in[2], in[0], 0.0) + in[1]};
  }
  std::string kind() const override { return "Pair"; }
};

template <class E, class F> std::string message_of(const F& f) {
  try {
    f();
  } catch (const E& error) { return error.what(); }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("a Predictor gives the bits of predict for any batch, in both dtypes") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const nn::Sequential model = network(dtype);
    const Tensor x = random::normal({17, 40}, 5, 0).astype(dtype);
    const bool training = model.training();
    const Tensor expected = model.predict(x);
    for (const std::int64_t batch : {1, 2, 4, 17}) {
      Predictor predict(model, batch);
      for (std::int64_t first = 0; first + batch <= 17; first += batch) {
        const Tensor y = predict(x.index({Slice{.start = first, .stop = first + batch}}));
        CHECK(std::memcmp(y.raw_data(),
                          static_cast<const std::byte*>(expected.raw_data()) +
                              static_cast<std::size_t>(first * 5) * size_of(dtype),
                          static_cast<std::size_t>(batch * 5) * size_of(dtype)) == 0);
      }
    }
    CHECK(model.training() == training);
  }
}

TEST_CASE("the columns of one sample's products lie in panels; batches read the weights as they are") {
  const nn::Sequential model{nn::Linear(40, 384), nn::Linear(384, 300), nn::Linear(300, 257), nn::Linear(257, 5)};
  const auto columns = [&](std::int64_t batch) {
    const NoGrad nothing;
    const PredictionPlan plan = split_weights(
        trace_types([&](const Tensors& in) { return Tensors{model(in[0])}; }, {{DType::float32, {batch, 40}}}));
    std::vector<std::int64_t> found;
    for (const WeightSlot& slot : plan.slots)
      if (slot.type.shape.rank() == 2) found.push_back(slot.columns);
    return found;
  };
  CHECK(columns(1) == std::vector<std::int64_t>{128, 100, 0, 0});
  CHECK(columns(2) == std::vector<std::int64_t>{0, 0, 0, 0});
}

TEST_CASE("spans of the caller are read and written, and nothing is allocated") {
  const nn::Sequential model = network();
  const Tensor x = random::normal({3, 40}, 5, 0);
  for (const std::int64_t batch : {1, 3}) {
    Predictor predict(model, batch);
    const Tensor rows = batch == 1 ? x.index({Slice{.stop = 1}}) : x, expected = model.predict(rows);
    const std::span<const float> in = rows.span<float>();
    std::vector<float> out(static_cast<std::size_t>(batch * 5));
    const std::uint64_t before = allocations();
    for (int i = 0; i < 20; ++i) {
      predict(in, std::span<float>(out));
      predict(in, out);
      predict.refresh();
    }
    CHECK(allocations() - before == 0);
    CHECK(std::memcmp(out.data(), expected.raw_data(), out.size() * sizeof(float)) == 0);
  }
}

TEST_CASE("the weights are a snapshot until refresh, for all copies") {
  nn::Sequential model = network();
  const Tensor x = random::normal({1, 40}, 5, 0);
  Predictor first(model), copy = first;
  const Tensor before = model.predict(x);
  model.init(9);
  for (nn::NamedTensor& buffer : model.named_buffers())
    if (buffer.name == "1.running_var") buffer.tensor.copy_(Tensor::full({384}, 2.0));  // folded with others
  const Tensor after = model.predict(x);
  CHECK(same_bits(first(x), before));
  CHECK(same_bits(copy(x), before));
  copy.refresh();
  CHECK(same_bits(first(x), after));
  CHECK(same_bits(copy(x), after));
  copy = Predictor(network());
  CHECK(same_bits(copy(x), before));
  CHECK(same_bits(first(x), after));
}

TEST_CASE("it outlives the model") {
  const Tensor x = random::normal({1, 40}, 5, 0);
  const auto made = [] { return Predictor(network()); };
  Predictor predict = made();
  CHECK(same_bits(predict(x), network().predict(x)));
  predict.refresh();
  CHECK(same_bits(predict(x), network().predict(x)));
}

TEST_CASE("one copy per thread") {
  const nn::Sequential model = network();
  const Tensor x = random::normal({64, 40}, 5, 0), expected = model.predict(x);
  const Predictor first(model);
  std::array<int, 4> wrong{};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      Predictor mine = first;
      std::vector<float> out(5);
      for (int round = 0; round < 20; ++round)
        for (std::size_t row = t; row < 64; row += 3) {
          mine(x.span<float>().subspan(row * 40, 40), out);
          wrong[t] += std::memcmp(out.data(), expected.data<float>() + row * 5, 5 * sizeof(float)) != 0;
        }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::array<int, 4>{});
}

TEST_CASE("one sample without a batch axis, other dtypes, probabilities and classes") {
  nn::Sequential model = network();
  model.set_link("softmax");
  const Tensor x = random::normal({1, 40}, 5, 0), row = x.reshape({40});
  CHECK(same_bits(Predictor(model)(row), model.predict(x).reshape({5})));
  CHECK(same_bits(Predictor(model)(x.astype(DType::float64)), model.predict(x)));
  CHECK(same_bits(Predictor(model, 1, {.output = "proba"})(x), model.predict(x, 1024, "proba")));
  Predictor classes(model, 1, {.output = "class"});
  CHECK(same_bits(classes(x), model.predict(x, 1024, "class")));
  CHECK(classes(row).rank() == 0);
}

TEST_CASE("several inputs and outputs") {
  const nn::Module model = nn::make_module<Pair>();
  const PredictorOptions options{.input_shapes = {{3}, {3}, {3}},
                                 .input_dtypes = {DType::float32, DType::float32, DType::boolean}};
  const Tensor a = random::normal({2, 3}, 1, 0), b = random::normal({2, 3}, 2, 0), mask = greater(a, 0.0);
  Predictor predict(model, 2, options);
  const std::vector<Tensor> expected = model({a, b, mask}), results = predict({a, b, mask});
  CHECK(same_bits(results[0], expected[0]));
  CHECK(same_bits(results[1], expected[1]));
  std::vector<float> y(400), z(6);
  predict({a.span<float>(), b.span<float>(), mask.span<bool>()}, {y, z});
  CHECK(std::memcmp(y.data(), expected[0].raw_data(), 1600) == 0);
  CHECK(std::memcmp(z.data(), expected[1].raw_data(), 24) == 0);

  CHECK(message_of<ValueError>([&] { predict({a, b}); }) ==
        "Predictor: the number of inputs differs: 2 given, the model has 3; give a tuple of arrays, one per input");
  CHECK(message_of<ValueError>([&] {
          Predictor(model, 1, {.input_shapes = {{3}, {3}, {3}}, .input_dtypes = {DType::float32}});
        }) == "Predictor: input_dtypes does not fit: 1 dtypes for 3 inputs; give one per input, or none: the model's");
  Predictor one(model, 1, options);
  const Tensor row = Tensor::zeros({3});
  CHECK(one({row, row, greater(row, 0.0)})[0].shape() == Shape{200});
  CHECK(
      message_of<ShapeError>([&] { one({row, row.reshape({1, 3}), row}); }) ==
      "Predictor: input 1 has the wrong shape: (1, 3) was given for (1, 3) or (3,); give all inputs with a batch axis, "
      "or none");
}

TEST_CASE("messages") {
  const nn::Sequential model = network();
  Predictor predict(model);
  std::vector<float> in(39), out(5);
  CHECK(message_of<ShapeError>([&] { predict(in, out); }) ==
        "Predictor: the input has the wrong size: 39 values were given for (1, 40); give 1 sample of shape (40,)");
  in.resize(120);
  CHECK(message_of<ShapeError>([&] { predict(in, out); }) ==
        "Predictor: the input has the wrong size: 120 values were given for (1, 40); it is compiled for 1 sample: make "
        "a Predictor with batch=3, or use model.predict for any number");
  in.resize(40);
  out.resize(4);
  CHECK(message_of<ShapeError>([&] { predict(in, out); }) ==
        "Predictor: the output has the wrong size: 4 values were given for (1, 5); give 1 sample of shape (5,)");
  CHECK(message_of<DTypeError>([&] { predict(std::vector<double>(40), out); }) ==
        "Predictor: the input has another dtype: float64 was given, the program has float32; convert the values, or "
        "pass Tensors, whose inputs are converted");
  CHECK(message_of<ValueError>([&] { predict({in, in}, {out}); }) ==
        "Predictor: the number of inputs differs: 2 given, the model has 1; give a span for each");
  CHECK(
      message_of<ShapeError>([&] { predict(Tensor::zeros({2, 40})); }) ==
      "Predictor: the input has the wrong shape: (2, 40) was given for (1, 40) or (40,); it is compiled for 1 sample: "
      "make a Predictor with batch=2, or use model.predict for any number");
  CHECK(message_of<ValueError>([&] { Predictor(model, 0); }) == "Predictor: batch must be at least 1: 0");
  CHECK(message_of<StateError>([&] { Predictor{nn::ReLU{}}; }) ==
        "Predictor: the shape of a sample is not known: no layer tells its number of inputs: ReLU; give it: "
        "Predictor(model, input_shape=(28, 28)); in C++ PredictorOptions{.input_shape = {28, 28}}");
  const Predictor moved = std::move(predict);
  CHECK(message_of<StateError>([&] { predict(in, out); }) ==
        "Predictor: it was moved from; use the one it was moved to");
}

TEST_CASE("refresh names what is no longer as it was, and keeps the weights") {
  nn::Sequential model = network();
  Predictor predict(model);
  const Tensor x = random::normal({1, 40}, 5, 0), before = predict(x);
  model[3]->remove("bias");
  CHECK(message_of<StateError>([&] { predict.refresh(); }) ==
        "Predictor.refresh: the model's layers or tensors were exchanged: '3.bias' is not what it was; make a new "
        "Predictor of the model");
  CHECK(same_bits(predict(x), before));
  nn::Sequential other = network();
  Predictor second(other);
  other.astype(DType::float64);
  CHECK(message_of<StateError>([&] { second.refresh(); }) ==
        "Predictor.refresh: the model's dtype has changed: '0.weight' was float32 and is float64; make a new Predictor "
        "of the model");
  CHECK(same_bits(second(x), before));
}

// Saving and loading models: the same outputs, gradients, masks and running statistics, and the same bytes again.
#include <cmath>
#include <numeric>

#include "bytes.hpp"
#include "chainrule/chainrule.hpp"
#include "io/json.hpp"
#include "models.hpp"

using namespace chainrule;
using namespace chainrule::test;

TEST_CASE("model file: a loaded model computes the same bits, at any batch size") {
  for (const nn::Module& model : all_models()) {
    INFO(model.str());
    nn::Module original = model;
    const Model loaded = reload(original);
    CHECK_FALSE(loaded.training());
    CHECK(original.training());  // saving changes nothing
    CHECK(loaded.str() == original.str());
    CHECK(loaded.summary() == original.summary());
    CHECK(loaded.link() == original.link());
    original.eval();
    for (const int batch : {1, 2, 7}) {
      const Tensor x = numbers({batch, 6});
      check_same(loaded(x), original(x));
    }
    original.train();
  }
}

TEST_CASE("model file: parameters keep their paths, values and whether they are trained") {
  nn::Sequential model{nn::Linear(6, 4), nn::BatchNorm1d(4), nn::Residual(nn::Linear(4, 4))};
  model.init(3);
  model.named_parameters()[0].tensor.requires_grad_(false);
  const Model loaded = reload(model);
  const auto a = model.named_parameters(), b = loaded.named_parameters();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].name == b[i].name);
    CHECK(a[i].tensor.requires_grad() == b[i].tensor.requires_grad());
    check_same(a[i].tensor, b[i].tensor);
  }
  CHECK(a[4].name == "2.inner.weight");
  REQUIRE(loaded.named_buffers().size() == 3);
  CHECK(loaded.named_buffers()[2].name == "1.num_batches_tracked");
  CHECK(loaded.named_buffers()[2].tensor.dtype() == DType::int64);
}

TEST_CASE("model file: gradients are the same") {
  for (const nn::Module& model : all_models()) {
    INFO(model.str());
    Model loaded = reload(model);
    loaded.train();
    const Tensor x = numbers({8, 6});
    manual_seed(5);
    nn::Module copy = model.clone();  // counts its train-mode calls from 0, as the loaded one
    const Tensor a = copy(x);
    manual_seed(5);
    const Tensor b = loaded(x);
    check_same(a, b);
    square(a).sum().backward();
    square(b).sum().backward();
    const auto pa = copy.named_parameters(), pb = loaded.named_parameters();
    REQUIRE(pa.size() == pb.size());
    for (std::size_t i = 0; i < pa.size(); ++i) {
      INFO(pa[i].name);
      REQUIRE(pa[i].tensor.grad().defined() == pb[i].tensor.grad().defined());
      if (pa[i].tensor.grad().defined()) check_same(pa[i].tensor.grad(), pb[i].tensor.grad());
    }
    const auto ba = copy.named_buffers(), bb = loaded.named_buffers();  // running statistics moved alike
    for (std::size_t i = 0; i < ba.size(); ++i) check_same(ba[i].tensor, bb[i].tensor);
  }
}

TEST_CASE("model file: a loaded model trains on like the one it was saved from") {
  nn::Sequential model{nn::Linear(6, 8, {.seed = 1}), nn::BatchNorm1d(8), nn::ReLU(), nn::Dropout(0.2),
                       nn::Linear(8, 2, {.seed = 2})};
  const Tensor x = numbers({40, 6});
  std::vector<std::int64_t> classes;
  for (std::int64_t i = 0; i < 40; ++i) classes.push_back(i % 2);
  const Tensor y = Tensor::from(classes, {40});
  Model loaded = reload(model);
  for (nn::Module m : {nn::Module(model), nn::Module(loaded)}) {
    Trainer trainer(m, nn::CrossEntropyLoss(), optim::Adam({.lr = 1e-2}), {.seed = 4});
    trainer.fit(x, y, {.epochs = 3, .batch_size = 16});
  }
  const auto a = model.state_dict(), b = loaded.state_dict();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].name);
    CHECK(a[i].name == b[i].name);
    check_same(a[i].tensor, b[i].tensor);
  }
  CHECK(b[5].name == "1.running_var");
  CHECK(loaded.link() == "softmax");
  CHECK(loaded.to_bytes() == model.to_bytes());
}

TEST_CASE("model file: dropout draws fresh masks in train mode, and none in eval mode") {
  Model loaded = reload(nn::Sequential{nn::Linear(6, 32), nn::Dropout(0.5), nn::Dropout(0.5)});
  const Tensor x = numbers({4, 6});
  check_same(loaded(x), loaded(x));
  loaded.train();
  const Tensor a = loaded(x), b = loaded(x);
  bool differ = false;
  for (std::int64_t i = 0; i < a.size(); ++i) differ |= a.data<float>()[i] != b.data<float>()[i];
  CHECK(differ);
}

TEST_CASE("model file: two loaded models in one keep masks of their own") {
  const nn::Sequential half{nn::Identity(), nn::Dropout(0.5)};
  const Model a = loads_of(to_bytes(half, {.input_shape = {64}})), b = loads_of(to_bytes(half, {.input_shape = {64}}));
  nn::Sequential both{a, b};
  both.train();
  const Tensor y = both(Tensor::ones({64, 64}));
  int kept = 0;
  for (const float v : y.span<float>()) kept += v != 0.0f;
  CHECK(kept > 64 * 64 / 4 - 300);  // a quarter; with one mask for both it would be half
  CHECK(kept < 64 * 64 / 4 + 300);
}

TEST_CASE("model file: saving a loaded model gives the same bytes") {
  for (const nn::Module& model : all_models()) {
    INFO(model.str());
    const std::string bytes = model.to_bytes();
    const Model loaded = loads_of(bytes);
    CHECK(loaded.to_bytes() == bytes);
    CHECK(model.to_bytes() == bytes);
  }
}

TEST_CASE("model file: clone, astype and init of a loaded model") {
  nn::Sequential model{nn::Linear(6, 5, {.seed = 1}), nn::LayerNorm(5), nn::BatchNorm1d(5),
                       nn::Linear(5, 2, {.seed = 2})};
  const Tensor x = numbers({3, 6});
  Model loaded = reload(model);
  model.eval();
  nn::Module copy = loaded.clone();
  check_same(copy(x), model(x));
  copy.named_parameters()[0].tensor.copy_(Tensor::zeros({6, 5}));
  check_same(loaded(x), model(x));

  loaded.astype(DType::float64);
  CHECK(loaded(x).dtype() == DType::float64);
  CHECK(loaded(x).data<double>()[0] == doctest::Approx(static_cast<double>(model(x).data<float>()[0])).epsilon(1e-4));
  const Model again = loads_of(loaded.to_bytes());
  check_same(again(x), loaded(x));

  Model other = reload(model);
  other.init(9);
  model.init(9);
  check_same(other(x), model(x));
}

TEST_CASE("model file: a built-in part of a loaded model can be called alone") {
  const nn::Sequential model{nn::Sequential{nn::Linear(6, 5), nn::Tanh()}, nn::Linear(5, 2)};
  const Model loaded = reload(model);
  const Tensor x = numbers({3, 6});
  check_same(nn::Module(loaded->children()[0].second)(x), model[0](x));
}

TEST_CASE("model file: shared modules and tied weights stay shared") {
  const nn::Linear shared(6, 6);
  const Model loaded = reload(nn::Sequential{shared, nn::Tanh(), shared});
  CHECK(loaded.named_parameters().size() == 2);
  CHECK(loaded->children()[0].second == loaded->children()[2].second);
  const auto tied = nn::make_module<Tied>();
  Model m = reload(tied);
  REQUIRE(m.named_parameters().size() == 1);
  const Tensor x = numbers({2, 6});
  check_same(m(x), tied(x));
  nn::Module copy = m.clone();
  copy.named_parameters()[0].tensor.copy_(Tensor::zeros({6, 6}));
  check_same(m(x), tied(x));
  CHECK(copy(x).data<float>()[0] == 0.0f);
}

TEST_CASE("model file: several inputs and outputs") {
  const auto pair = nn::make_module<Pair>();
  CHECK_REFUSED_AS(StateError, pair.to_bytes(), "save: the shape of a sample is not known", "input_shape");
  const Model loaded = loads_of(to_bytes(pair, {.input_shapes = {{3}, {3}}}));
  const Tensor a = numbers({4, 3}), b = numbers({4, 3});
  const auto y = loaded(std::vector<Tensor>{a, b}), z = pair(std::vector<Tensor>{a, b});
  REQUIRE(y.size() == 2);
  check_same(y[0], z[0]);
  check_same(y[1], z[1]);
  CHECK(loads_of(loaded.to_bytes()).to_bytes() == loaded.to_bytes());
  CHECK_REFUSED_AS(ValueError, loaded(a), "takes 2 inputs", "1 were given");
  CHECK_REFUSED_AS(ShapeError, loaded(std::vector<Tensor>{a, numbers({5, 3})}), "number of samples");
}

TEST_CASE("model file: inputs of another shape") {
  const nn::Sequential images{nn::Flatten(), nn::Linear(12, 2)};
  const Model guessed = reload(images);  // 12 features; Flatten makes them of any shape
  const Tensor x = numbers({2, 3, 4});
  check_same(guessed(x), images(x));
  check_same(guessed(numbers({2, 12})), images(numbers({2, 12})));
  CHECK_REFUSED_AS(ShapeError, guessed(numbers({2, 3, 5})), "x is (2, 3, 5), it takes (batch, 12)");
  const Model plain = reload(nn::Sequential{nn::Linear(6, 2), nn::Softmax()});
  CHECK_REFUSED_AS(ShapeError, plain(numbers({2, 5, 6})), "x is (2, 5, 6), it takes (batch, 6)", "input_shape");
  const Model sequences = loads_of(to_bytes(nn::Sequential{nn::Linear(6, 2), nn::Softmax()}, {.input_shape = {5, 6}}));
  CHECK(sequences(numbers({2, 5, 6})).shape() == Shape{2, 5, 2});
  CHECK_REFUSED_AS(ShapeError, plain(Tensor::scalar(1.0)), "no batch axis");
}

TEST_CASE("model file: schema and training are kept") {
  const data::Table table = data::parse_csv("a,b,y\n1,u,p\n2,v,q\n", {}, "t.csv");
  const std::int64_t rows[] = {0, 1};
  const data::Schema schema = data::fit_schema(table, "y", rows);
  nn::Sequential model{nn::Linear(3, 2)};
  model.set_link("softmax");
  const Model loaded =
      loads_of(to_bytes(model, {.schema = &schema, .training_json = "{\"epochs\": 3, \"lr\": 0.001}"}));
  REQUIRE(loaded.schema() != nullptr);
  CHECK(loaded.schema()->classes == std::vector<std::string>{"p", "q"});
  CHECK(loaded.training_json() == "{\"epochs\":3,\"lr\":0.001}");
  CHECK(loaded.link() == "softmax");
  const Model again = loads_of(loaded.to_bytes());  // without saying so once more
  CHECK(again.schema()->columns.size() == 2);
  CHECK(again.training_json() == loaded.training_json());
  CHECK(reload(model).schema() == nullptr);
  CHECK(reload(model).training_json() == "{}");
  CHECK_REFUSED_AS(ValueError, to_bytes(model, {.training_json = "{"}), "training_json");
  CHECK_REFUSED_AS(ValueError, to_bytes(model, {.training_json = "[1]"}), "training_json");
}

TEST_CASE("model file: constants and captured tensors") {
  const auto model = nn::make_module<Constants>();
  const Model loaded = reload(model);
  const Tensor x = numbers({3, 6});
  check_same(loaded(x), model(x));
  CHECK(loaded.named_parameters().empty());
}

TEST_CASE("model file: a batch size that leaked in is refused, and so is what changes from trace to trace") {
  CHECK_REFUSED_AS(ValueError, nn::make_module<Leaky>("sum / n").to_bytes(),
                   "save: divide computes with a batch size that became a constant",
                   "2 at batch 2, 3 at batch 3, 5 at batch 5", "mean(...) instead of sum(...) / x.shape[0]");
  CHECK_REFUSED_AS(ValueError, nn::make_module<Leaky>("zeros").to_bytes(), "constant array that grows with the batch",
                   "float32 (2, 6) at batch 2");
  CHECK_REFUSED_AS(ValueError, nn::make_module<Leaky>("square").to_bytes(), "does not grow evenly with the batch size",
                   "reshape");
  CHECK_REFUSED_AS(ValueError, nn::make_module<Leaky>("clip").to_bytes(), "clip's attribute");
  CHECK_REFUSED_AS(ValueError, nn::make_module<Leaky>("loop").to_bytes(),
                   "the number of ops differs with the batch size", "without loops");
  CHECK_REFUSED_AS(ValueError, nn::make_module<Leaky>("branch").to_bytes(), "what is computed differs", "tanh");
  CHECK_REFUSED_AS(ValueError, nn::make_module<Leaky>("random").to_bytes(), "another one in every trace");
  CHECK_REFUSED_AS(StateError, nn::make_module<Leaky>("stray").to_bytes(), "wants gradients but is no parameter");
  CHECK(reload(nn::make_module<Leaky>("mean"))(numbers({4, 6})).shape() == Shape{6});
  const Tensor x = numbers({7, 6});  // sizes that grow evenly
  check_same(reload(nn::make_module<Leaky>("reshape"))(x), nn::make_module<Leaky>("reshape")(x));
}

TEST_CASE("model file: modes, errors and nothing else changed by saving") {
  nn::Sequential model{nn::Linear(6, 4), nn::BatchNorm1d(4), nn::Dropout(0.5)};
  model->children()[1].second->set_training(false);
  const auto before = model.state_dict();
  (void)model.to_bytes();
  CHECK(model.training());
  CHECK_FALSE(model->children()[1].second->training());
  const nn::BatchNorm1d shared(6);  // in two places, with a mode of its own
  nn::Sequential twice{shared, nn::Sequential{shared}};
  shared->set_training(false);
  (void)twice.to_bytes();
  CHECK_FALSE(shared.training());
  CHECK(twice.training());
  const auto after = model.state_dict();
  for (std::size_t i = 0; i < before.size(); ++i) check_same(before[i].tensor, after[i].tensor);
  CHECK_REFUSED_AS(StateError, nn::Module().to_bytes(), "no layer");
  CHECK_REFUSED_AS(StateError, nn::Sequential{nn::ReLU()}.to_bytes(), "the shape of a sample is not known",
                   "input_shape=(28, 28)");
  // Layers that tell a wrong shape: the second one stands first.
  CHECK_REFUSED_AS(StateError, nn::make_module<Swapped>().to_bytes(),
                   "does not take samples of the shape its layers tell, (3,)", "input_shape");
  CHECK(loads_of(to_bytes(nn::make_module<Swapped>(), {.input_shape = {6}})).named_parameters().size() == 4);
}

TEST_CASE("model file: files") {
  const Folder folder;
  const nn::Sequential model{nn::Linear(6, 2)};
  model.save(folder / "a.safetensors");
  check_same(load(folder / "a.safetensors")(numbers({2, 6})), model(numbers({2, 6})));
  const Bytes bytes = io::read_file(folder / "a.safetensors", "test");
  CHECK(text_of(bytes) == model.to_bytes());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
  const io::Json header = io::parse_json({reinterpret_cast<const char*>(bytes.data()) + 8, length});
  CHECK(header["0.weight"]["dtype"] == "F32");
  CHECK(header["0.weight"]["shape"] == io::Json({6, 2}));
  CHECK(header["0.weight"]["data_offsets"] == io::Json({0, 48}));
  CHECK(header["0.bias"]["data_offsets"] == io::Json({48, 56}));
  CHECK(io::parse_json(header["__metadata__"]["chainrule"].get<std::string>())["format"] == 1);
  CHECK_REFUSED(load(folder / "none.safetensors"), "load: ", "none.safetensors: cannot be opened");
}

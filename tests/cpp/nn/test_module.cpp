// Module: names, state dicts, clones, dtype, modes, modules of one's own, the summary.
#include "chainrule/graph.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "close.hpp"
#include "graph/graph.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

nn::Sequential model_of(std::uint64_t seed) {
  return nn::Sequential({nn::Linear(3, 3), nn::BatchNorm1d(3), nn::ReLU(), nn::Linear(3, 2)}, {.seed = seed});
}

std::vector<std::string> names_of(const std::vector<nn::NamedTensor>& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

// x -> inner(x) * scale + offset, with a parameter and a buffer of its own, and a part used twice.
class Scaled : public nn::Layer {
 public:
  Scaled() : inner_(nn::Sequential{nn::Linear(3, 3, {.seed = 1}), nn::Tanh()}) {
    add_parameter("scale", Tensor::full({3}, 2.0));
    add_buffer("offset", Tensor::full({3}, 0.5));
    add_child("inner", inner_.impl());
    add_child("again", inner_.impl());
  }
  using Layer::forward;
  Tensor forward(const Tensor& x) override { return inner_(x) * own_parameters()[0].tensor + own_buffers()[0].tensor; }
  std::string kind() const override { return "Scaled"; }
  std::shared_ptr<ModuleImpl> clone_structure(const CloneChild&) const override { return std::make_shared<Scaled>(); }

 private:
  nn::Module inner_;
};

class TwoOutputs : public nn::ModuleImpl {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override { return {in[0] + in[1], in[0] - in[1]}; }
  std::string kind() const override { return "TwoOutputs"; }
};

}  // namespace

TEST_CASE("names are paths") {
  const nn::Sequential model = model_of(0);
  CHECK(names_of(model.named_parameters()) ==
        std::vector<std::string>{"0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"});
  CHECK(names_of(model.named_buffers()) ==
        std::vector<std::string>{"1.running_mean", "1.running_var", "1.num_batches_tracked"});
  CHECK(names_of(model.state_dict()) == std::vector<std::string>{"0.weight", "0.bias", "1.weight", "1.bias",
                                                                 "1.running_mean", "1.running_var",
                                                                 "1.num_batches_tracked", "3.weight", "3.bias"});
  CHECK(names_of(nn::Linear(2, 2).named_parameters()) == std::vector<std::string>{"weight", "bias"});
}

TEST_CASE("a state dict holds copies and loads back") {
  nn::Sequential model = model_of(0), other = model_of(1);
  const Tensor x = f32({1, 2, 3, -1, 0, 2}, {2, 3});
  model(x);  // moves the running statistics
  const auto state = model.state_dict();
  Tensor(model.parameters()[0]).copy_(Tensor::zeros({3, 3}));
  CHECK_FALSE(same_bits(state[0].tensor, model.parameters()[0]));
  other.load_state_dict(state);
  model.load_state_dict(state);
  model.eval(), other.eval();
  CHECK(same_bits(model(x).detach(), other(x).detach()));
  CHECK(other.named_buffers()[2].tensor.item() == 1);
}

TEST_CASE("loading lists every difference and changes nothing") {
  nn::Sequential model{nn::Linear(3, 2, {.seed = 0}), nn::ReLU()};
  const auto before = model.state_dict();
  CHECK_THROWS_WITH_AS(model.load_state_dict({{"0.weight", Tensor::ones({3, 4})}, {"1.weight", Tensor::ones({2})}}),
                       "load_state_dict: 3 entries differ from the model: missing: 0.bias (2,); not in the model: "
                       "1.weight; other shape: "
                       "0.weight is (3, 2) in the model, (3, 4) was given; nothing was changed",
                       ValueError);
  CHECK_THROWS_WITH_AS(
      model.load_state_dict({{"0.weight", Tensor::ones({2, 3})}, {"0.bias", Tensor::ones({2})}}),
      "load_state_dict: one entry differs from the model: other shape: 0.weight is (3, 2) in the model, "
      "(2, 3) was given; weights of PyTorch are (out, in): pass layout=\"torch\"",
      ValueError);
  CHECK_THROWS_AS(model.load_state_dict({{"0.bias", Tensor::ones({2})}, {"0.bias", Tensor::ones({2})}}), ValueError);
  CHECK_THROWS_WITH_AS(model.load_state_dict({}, "keras"),
                       "load_state_dict: unknown layout: 'keras'; use \"chainrule\" or \"torch\"", ValueError);
  CHECK(same_bits(model.state_dict()[0].tensor, before[0].tensor));
}

TEST_CASE("PyTorch's weights are transposed") {
  nn::Sequential model{nn::Linear(3, 2), nn::LayerNorm(2)};
  const std::vector<nn::NamedTensor> state{{"0.weight", f64({1, 2, 3, 4, 5, 6}, {2, 3})},
                                           {"0.bias", f64({7, 8})},
                                           {"1.weight", f64({1, 1})},
                                           {"1.bias", f64({0, 0})}};
  model.load_state_dict(state, "torch");
  check_close(model.parameters()[0], {1, 4, 2, 5, 3, 6});
  check_close(model.parameters()[1], {7, 8});
  nn::Linear square(2, 2);
  square.load_state_dict({{"weight", f64({1, 2, 3, 4}, {2, 2})}, {"bias", f64({0, 0})}}, "torch");
  check_close(square.weight(), {1, 3, 2, 4});
}

TEST_CASE("a shared layer loads under any of its names") {
  const nn::Linear layer(2, 2, {.seed = 0});
  nn::Sequential model{layer, layer};
  const Tensor w = Tensor::ones({2, 2}), b = Tensor::zeros({2});
  model.load_state_dict({{"0.weight", w}, {"0.bias", b}, {"1.weight", w}, {"1.bias", b}});
  check_close(layer.weight(), {1, 1, 1, 1});
  model.load_state_dict({{"1.weight", Tensor::full({2, 2}, 3)}, {"0.bias", b}});
  check_close(layer.weight(), {3, 3, 3, 3});
}

TEST_CASE("a clone has its own parameters, the same values and the same sharing") {
  const nn::Linear shared(3, 3, {.seed = 5});
  nn::Sequential model{shared, nn::BatchNorm1d(3), nn::Residual(shared), nn::Dropout(0.3), nn::GELU("tanh")};
  model.set_link("softmax");
  model(f32({1, 2, 3, -1, 0, 2}, {2, 3}));
  model[3]->set_training(false);
  model.parameters()[0].requires_grad_(false);
  nn::Module copy = model.clone();
  CHECK(copy.str() == model.str());
  CHECK(copy.link() == "softmax");
  CHECK(copy->children()[3].second->training() == false);
  CHECK(copy->training());
  const auto a = model.state_dict(), b = copy.state_dict();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].name == b[i].name);
    CHECK(same_bits(a[i].tensor, b[i].tensor));
  }
  CHECK_FALSE(copy.parameters()[0].requires_grad());
  CHECK(copy.parameters()[1].requires_grad());
  Tensor(copy.parameters()[0]).copy_(Tensor::zeros({3, 3}));
  CHECK_FALSE(values_of(shared.weight())[0] == 0.0);
  CHECK(copy->children()[0].second == copy->children()[2].second->children()[0].second);
}

TEST_CASE("modules of one's own") {
  nn::Module model = nn::make_module<Scaled>();
  CHECK(names_of(model.named_parameters()) == std::vector<std::string>{"scale", "inner.0.weight", "inner.0.bias"});
  CHECK(model.str() == "Scaled(inner=Sequential(Linear(3, 3), Tanh()), again=Sequential(Linear(3, 3), Tanh()))");
  const Tensor x = f32({1, 2, 3}, {1, 3});
  Tensor(model.parameters()[0]).copy_(Tensor::full({3}, 7));
  Tensor(model.named_buffers()[0].tensor).copy_(Tensor::full({3}, 9));
  nn::Module copy = model.clone();
  CHECK(same_bits(copy(x).detach(), model(x).detach()));
  CHECK(copy.impl() != model.impl());
  CHECK(copy->children()[0].second == copy->children()[1].second);
  model.astype(DType::float64);
  CHECK(model.clone().dtype() == DType::float64);
  // init puts back what was registered, and draws the layers inside.
  model.init(3);
  check_close(model.parameters()[0], {2, 2, 2});
  check_close(model.named_buffers()[0].tensor, {0.5, 0.5, 0.5});
  CHECK_THROWS_WITH_AS(model(Tensor::zeros({1, 4})),
                       "model.inner.0 Linear(3, 3, dtype='float64'): last axis must have 3 features: x is (1, 4); pass "
                       "(batch, 3), or build the layer for 4 features",
                       ShapeError);
}

TEST_CASE("several inputs and outputs") {
  const nn::Module model = nn::make_module<TwoOutputs>();
  const Tensor a = f64({1, 2}), b = f64({3, 5});
  const std::vector<Tensor> y = model(std::vector<Tensor>{a, b});
  check_close(y[0], {4, 7});
  check_close(y[1], {-2, -3});
  CHECK_THROWS_WITH_AS(model.clone(),
                       "clone: this kind of module cannot be rebuilt from its arguments: TwoOutputs(); override "
                       "clone_structure(), mostly to return std::make_shared of its own kind",
                       StateError);
  CHECK_THROWS_AS(nn::Module()(a), StateError);
}

TEST_CASE("what can be registered") {
  Scaled module;
  CHECK_THROWS_WITH_AS(module.add_parameter("scale", Tensor::ones({2})),
                       "add_parameter: the name is taken: 'scale'; use another name", ValueError);
  CHECK_THROWS_AS(module.add_child("", nn::ReLU().impl()), ValueError);
  CHECK_THROWS_AS(module.add_buffer("a..b", Tensor::ones({2})), ValueError);
  CHECK_NOTHROW(module.add_child("blocks.0", nn::ReLU().impl()));
  CHECK_THROWS_WITH_AS(module.add_parameter("n", Tensor::zeros({2}, DType::int64)),
                       "add_parameter: a parameter must be floating: n is int64; use astype, or add_buffer",
                       DTypeError);
  CHECK_THROWS_AS(module.add_child("none", nullptr), StateError);
  auto outer = std::make_shared<Scaled>();
  CHECK_THROWS_WITH_AS(outer->add_child("self", outer), "add_child: a module cannot contain itself: self", ValueError);
  // Memory of the caller is copied, since parameters are written.
  const std::vector<float> mine{1, 2};
  module.add_parameter("view", Tensor::view(mine.data(), {2})).copy_(Tensor::zeros({2}));
  CHECK(mine[0] == 1);
}

TEST_CASE("one model has one dtype") {
  nn::Sequential model = model_of(0);
  CHECK(model.dtype() == DType::float32);
  const Tensor handle = model.parameters()[0];
  model.astype(DType::float64);
  CHECK(model.dtype() == DType::float64);
  CHECK(handle.dtype() == DType::float64);  // handles taken before stay those of the model
  CHECK(handle.requires_grad());
  CHECK(model.named_buffers()[0].tensor.dtype() == DType::float64);
  CHECK(model.named_buffers()[2].tensor.dtype() == DType::int64);
  CHECK(model(Tensor::zeros({2, 3})).dtype() == DType::float64);
  CHECK(model.str() ==
        "Sequential(Linear(3, 3, dtype='float64'), BatchNorm1d(3, dtype='float64'), ReLU(), Linear(3, 2, "
        "dtype='float64'))");
  CHECK_THROWS_WITH_AS(model.astype(DType::int32), "astype: a model computes in float32 or float64: dtype is int32",
                       DTypeError);
  CHECK(nn::ReLU().dtype() == DType::float32);
}

TEST_CASE("modes and links") {
  nn::Sequential model = model_of(0);
  CHECK(model.training());
  model.eval();
  CHECK_FALSE(model[1]->training());
  model.train();
  CHECK(model[1]->training());
  CHECK(model.link() == "identity");
  model.set_link("exp");
  CHECK(model.link() == "exp");
  CHECK_THROWS_AS(model.set_link("logit"), ValueError);
}

TEST_CASE("a traced model gives the eager bits, and its nodes carry their layer's path") {
  const nn::Sequential model{nn::Linear(3, 4, {.seed = 1}), nn::Sequential{nn::Tanh(), nn::Linear(4, 2, {.seed = 2})}};
  const Tensor x = f32({1, 2, 3, 4, 5, 6}, {2, 3});
  const Graph graph = trace([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{model(in[0])}; }, {x});
  CHECK(same_bits(replay(graph.data(), std::span(&x, 1))[0].detach(), model(x).detach()));
  CHECK(graph.data().captures.size() == 4);
  CHECK(graph.data().nodes.front().scope == "0");
  CHECK(graph.data().nodes.back().scope == "1.1");
}

TEST_CASE("summary is a table") {
  const nn::Linear shared(128, 128, {.seed = 0});
  const nn::Sequential model{nn::Linear(64, 128),  nn::ReLU(), shared,
                             nn::BatchNorm1d(128), shared,     nn::Linear(128, 10)};
  CHECK(model.summary() ==
        "path  layer             output  parameters\n"
        "------------------------------------------\n"
        "0     Linear(64, 128)      128       8,320\n"
        "1     ReLU()               128           0\n"
        "2     Linear(128, 128)     128      16,512\n"
        "3     BatchNorm1d(128)     128         256\n"
        "4     the same as 2        128           0\n"
        "5     Linear(128, 10)       10       1,290\n"
        "26,378 parameters, 257 numbers in buffers, 105,512 bytes as float32");
}

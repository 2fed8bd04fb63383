// Optimizer updates in a Program: by one rule they are one group, in place, and give the bits of one after the other.
#include <doctest/doctest.h>

#include <cstring>

#include "chainrule/config.hpp"
#include "chainrule/losses.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/optim.hpp"
#include "chainrule/random.hpp"
#include "graph/tensor_data.hpp"
#include "program/workspace.hpp"
#include "train/step_program.hpp"

using namespace chainrule;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw_data(), b.raw_data(), static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0;
}

Tensor normal(const Shape& shape, std::uint64_t seed, DType dtype = DType::float32) {
  return random::normal(shape, seed, 0).astype(dtype);
}

// What a step does to parameters, their gradients being captured; next[i] becomes the value of parameters[i].
struct Step {
  optim::Optimizer optimizer;
  std::vector<Tensor> gradients;

  Tensors scalars() const {
    Tensors tensors;
    const optim::StepScalars values = optimizer.rule()->scalars(optimizer.lr(), 1);
    for (std::size_t k = 0; k < values.size(); ++k)
      tensors.push_back(Tensor::full({}, values[k], optimizer.parameters()[0].dtype()));
    return tensors;
  }
  std::shared_ptr<const Program> program() {
    const NoGrad nothing;
    const auto tracer = Tracer::create();
    const TraceScope recording(*tracer);
    const auto symbol = [&](const Tensor& t) { return tracer->symbol(tracer->value_of(t)); };
    Tensors numbers;
    for (const Tensor& s : scalars()) numbers.push_back(symbol(s));
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const std::vector<Tensor>& states = optimizer.states(i);
      Tensors now;
      for (const Tensor& s : states) now.push_back(symbol(s));
      const Tensors next =
          optimizer.rule()->update(symbol(optimizer.parameters()[i]), symbol(gradients[i]), now, numbers);
      tracer->add_update(optimizer.parameters()[i], next[0]);
      for (std::size_t k = 0; k < states.size(); ++k) tracer->add_update(states[k], next[k + 1]);
    }
    tracer->set_outputs({});
    return compile_program(tracer->take());
  }
};

void run(const std::shared_ptr<const Program>& program, int threads) {
  Workspace workspace(program, threads);
  workspace.run();
}

optim::Optimizer like(const optim::Optimizer& recipe, DType dtype) {
  const Shape shapes[] = {{5}, {40, 30}, {}, {1}, {700, 301}, {3, 64}};
  std::vector<Tensor> parameters;
  for (std::size_t i = 0; i < std::size(shapes); ++i) parameters.push_back(normal(shapes[i], 10 + i, dtype));
  return optim::Optimizer(recipe.rule()->clone(), parameters);
}

}  // namespace

TEST_CASE("updates by one rule are one group and give eager bits, for every optimizer and any number of threads") {
  const int before = num_threads();
  const optim::Optimizer recipes[] = {optim::SGD({.lr = 0.1}),
                                      optim::SGD({.lr = 0.1, .maximize = true}),
                                      optim::SGD({.lr = 0.1, .momentum = 0.9}),
                                      optim::SGD({.lr = 0.1, .momentum = 0.9, .nesterov = true}),
                                      optim::Adagrad({.lr = 0.1}),
                                      optim::RMSprop({.lr = 0.1}),
                                      optim::RMSprop({.lr = 0.1, .momentum = 0.9, .centered = true}),
                                      optim::Adam({.lr = 0.1}),
                                      optim::Adam({.lr = 0.1, .weight_decay = 0.01, .amsgrad = true}),
                                      optim::AdamW({.lr = 0.1})};
  for (const optim::Optimizer& recipe : recipes)
    for (const DType dtype : {DType::float32, DType::float64}) {
      INFO(recipe.str());
      optim::Optimizer eager = like(recipe, dtype);
      std::vector<Tensor> gradients;
      for (const Tensor& p : eager.parameters()) gradients.push_back(normal(p.shape(), 99, dtype));
      const Step reference{eager, gradients};
      for (std::size_t i = 0; i < gradients.size(); ++i)
        eager.rule()->update_in_place(eager.parameters()[i], gradients[i], eager.states(i), reference.scalars());
      for (const int threads : {1, 2, 3}) {
        set_num_threads(threads);
        Step step{like(recipe, dtype), gradients};
        const auto program = step.program();
        const Group& group = program->groups.back();
        CHECK(group.beside);
        CHECK(group.parallel);
        CHECK(group.count == static_cast<int>(gradients.size()));
        CHECK(program->write_backs.empty());
        run(program, threads);
        for (std::size_t i = 0; i < gradients.size(); ++i) {
          CHECK(same_bits(step.optimizer.parameters()[i], eager.parameters()[i]));
          for (std::size_t k = 0; k < eager.states(i).size(); ++k)
            CHECK(same_bits(step.optimizer.states(i)[k], eager.states(i)[k]));
        }
      }
    }
  set_num_threads(before);
}

TEST_CASE("a parameter that is the gradient of another is read before it is written") {
  for (const bool first : {true, false}) {
    const std::vector<Tensor> parameters{Tensor::full({3}, 1.0), Tensor::full({3}, 10.0)};
    Step step{optim::SGD(parameters, {.lr = 1.0}), {}};
    step.gradients = first ? std::vector<Tensor>{parameters[1], Tensor::full({3}, 2.0)}
                           : std::vector<Tensor>{Tensor::full({3}, 2.0), parameters[0]};
    const auto program = step.program();
    CHECK(program->groups.size() == 1);
    CHECK(program->write_backs.size() == 1);
    run(program, 2);
    CHECK(parameters[0].data<float>()[2] == (first ? -9.0f : -1.0f));
    CHECK(parameters[1].data<float>()[2] == (first ? 8.0f : 9.0f));
  }
}

TEST_CASE("an update of what another update made comes behind it") {
  for (const bool through_view : {false, true}) {
    const NoGrad nothing;
    const Tensor p = Tensor::full({4}, 1.0), q = Tensor::full({4}, 1.0), g = Tensor::full({4}, 0.5);
    const optim::SGD sgd(std::vector<Tensor>{p, q}, {.lr = 1.0});
    const auto tracer = Tracer::create();
    const TraceScope recording(*tracer);
    const auto symbol = [&](const Tensor& t) { return tracer->symbol(tracer->value_of(t)); };
    const Tensors numbers{symbol(Tensor::full({}, 1.0)), symbol(Tensor::full({}, 0.0))};
    const auto update = [&](const Tensor& x, const Tensor& by) { return sgd.rule()->update(x, by, {}, numbers)[0]; };
    const Tensor p1 = update(symbol(p), symbol(g));
    const Tensor p2 = update(through_view ? reshape(reshape(p1, {2, 2}), {4}) : p1, symbol(g));
    tracer->add_update(p, p2);
    tracer->add_update(q, update(symbol(q), through_view ? p1 + p1 : p2));
    tracer->set_outputs({});
    const auto program = compile_program(tracer->take());
    CHECK(program->groups[0].count == 1);
    CHECK(program->groups.back().count == (through_view ? 2 : 1));  // the second one and q's know nothing of each other
    run(program, 1);
    CHECK(p.data<float>()[3] == 0.0f);
    CHECK(q.data<float>()[3] == (through_view ? 0.0f : 1.0f));
  }
}

TEST_CASE("the updates of a group stand side by side, whatever the order of the parameters") {
  const nn::Sequential model{nn::Linear(4, 8), nn::Tanh(), nn::Linear(8, 8), nn::Tanh(), nn::Linear(8, 2)};
  const auto groups = [&](const optim::Optimizer& recipe) {
    optim::Optimizer optimizer = recipe.with(model.named_parameters());
    const GraphData graph =
        trace_step(model, nn::MSELoss(), optimizer, {{{DType::float32, {3, 4}}}, {DType::float32, {3, 2}}, {}}, {});
    const auto program = compile_program(graph);
    std::vector<int> counts;
    for (const auto& group : program->groups)
      if (group.beside) counts.push_back(group.count);
    return counts;
  };
  CHECK(groups(optim::AdamW()) == std::vector{6});
  CHECK(groups(optim::AdamW({}, {.groups = {{{"*.bias"}, {{"weight_decay", 0.0}}}}})) == std::vector{3, 3});
}

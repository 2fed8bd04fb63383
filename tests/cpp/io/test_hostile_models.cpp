// Model files that lie: every check of the reader, each with a file that fails it and it alone.
#include <functional>
#include <random>

#include "bytes.hpp"
#include "chainrule/chainrule.hpp"
#include "io/json.hpp"
#include "models.hpp"

using namespace chainrule;
using namespace chainrule::test;
using io::Json;

namespace {

// A file taken apart, to be put together with something wrong in it.
struct File {
  Json header;  // without metadata
  Json model;
  std::string data;

  explicit File(const std::string& bytes) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    header = Json::parse(bytes.substr(8, length));
    model = Json::parse(header["__metadata__"]["chainrule"].get<std::string>());
    header.erase("__metadata__");
    data = bytes.substr(8 + length);
  }
  std::string bytes() const {
    Json whole = header;
    whole["__metadata__"]["chainrule"] = model.dump();
    return with_header(whole.dump());
  }
  std::string with_header(const std::string& text) const {
    const std::uint64_t length = text.size();
    return std::string(reinterpret_cast<const char*>(&length), 8) + text + data;
  }
  Json& node(std::size_t i) { return model["graphs"]["eval"]["nodes"][i]; }
};

nn::Module victim() {
  return nn::Sequential{
      nn::Linear(6, 4, {.seed = 1}), nn::ReLU(), nn::Flatten(), nn::Dropout(0.5), nn::BatchNorm1d(4), nn::Softmax()};
}
File good() { return File(to_bytes(victim(), {})); }
Model read(const std::string& bytes) {
  return loads({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()}, "m.safetensors");
}

// m: the description, h: the header, eval: the graph, nodes: its nodes; `change` does one thing to them.
#define CHECK_CHANGE_REFUSED(change, ...)                                            \
  do {                                                                               \
    File changed_file = good();                                                      \
    [[maybe_unused]] Json& m = changed_file.model;                                   \
    [[maybe_unused]] Json& h = changed_file.header;                                  \
    [[maybe_unused]] Json& eval = m["graphs"]["eval"];                               \
    [[maybe_unused]] Json& nodes = eval["nodes"];                                    \
    change;                                                                          \
    CHECK_REFUSED(read(changed_file.bytes()), "load: m.safetensors: ", __VA_ARGS__); \
  } while (false)

}  // namespace

TEST_CASE("hostile models: taken apart and put together again it is good") {
  CHECK(read(good().bytes()).named_parameters().size() == 4);
  CHECK(good().node(0)["op"] == "matmul");
  CHECK(good().model["graphs"].contains("train"));
}

TEST_CASE("hostile models: the container") {
  CHECK_REFUSED(read(""), "is no model file: it has only 0 bytes");
  CHECK_REFUSED(read("\x89PNG and more bytes"), "is no model file");
  const File file = good();
  const std::string bytes = file.bytes();
  const auto with_length = [&](std::uint64_t length) {
    return std::string(reinterpret_cast<const char*>(&length), 8) + bytes.substr(8);
  };
  CHECK_REFUSED(read(with_length(std::uint64_t{1} << 62)), "its header is too long");
  CHECK_REFUSED(read(with_length(99'000'000)), "cut short");
  CHECK_REFUSED(read(with_length(3)), "its header is damaged: no valid JSON");
  CHECK_REFUSED(read(file.with_header("{} x")), "no valid JSON");
  CHECK_REFUSED(read(file.with_header("{\"a\":" + std::string(50, '[') + std::string(50, ']') + "}")),
                "nested deeper than 8 levels");
  CHECK_REFUSED(read(file.with_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},\"a\":1}")),
                "the key 'a' is there twice");
  CHECK_REFUSED(read(file.with_header("{\"__metadata__\":{\"x\":1}}")), "should be a text");
  CHECK_REFUSED(read(file.with_header("{\"__metadata__\":[]}")), "should be an object");
  File empty = file;
  empty.data.clear();
  CHECK_REFUSED(read(empty.with_header("{\"__metadata__\":{}}")), "holds tensors but no model of chainrule",
                "load_state_dict");
  CHECK_REFUSED(read(bytes.substr(0, bytes.size() - 1)), "point outside of the data");
  CHECK_REFUSED(read(bytes + "x"), "something follows the last tensor: 1 bytes");
}

TEST_CASE("hostile models: tensors") {
  CHECK_CHANGE_REFUSED(h["0.weight"]["dtype"] = "F16", "'0.weight'.dtype", "no dtype for it: 'F16'");
  CHECK_CHANGE_REFUSED(h["0.weight"]["dtype"] = "F64", "span 96 bytes, the shape needs 192");
  CHECK_CHANGE_REFUSED(h["0.weight"]["shape"] = Json({6, 5}), "span 96 bytes, the shape needs 120");
  CHECK_CHANGE_REFUSED(h["0.weight"]["shape"] = Json({-6, -4}), "out of range: -6");
  CHECK_CHANGE_REFUSED(h["0.weight"]["shape"] = Json({6.0, 4.0}), "should be an integer");
  CHECK_CHANGE_REFUSED(h["0.weight"]["shape"] = Json({1, 1, 1, 1, 1, 1, 1, 6, 4}), "more than 8 sizes");
  CHECK_CHANGE_REFUSED(h["0.weight"]["shape"] = Json({std::int64_t{1} << 40, std::int64_t{1} << 40}),
                       "larger than any file");
  CHECK_CHANGE_REFUSED(h["0.weight"]["shape"] = Json({0, std::int64_t{1} << 40, std::int64_t{1} << 40}),
                       "larger than any file");
  CHECK_CHANGE_REFUSED(h["0.weight"]["shape"] = Json::array({18446744073709551615u}), "out of range");
  CHECK_CHANGE_REFUSED(h["0.weight"]["data_offsets"] = Json::array({0}), "two offsets");
  CHECK_CHANGE_REFUSED(h["0.weight"]["data_offsets"] = Json({96, 0}), "point outside");
  CHECK_CHANGE_REFUSED(h["0.weight"]["data_offsets"] = Json({0, std::int64_t{1} << 60}), "point outside");
  CHECK_CHANGE_REFUSED(h["0.weight"]["more"] = 1, "not known: 'more'");
  CHECK_CHANGE_REFUSED(h["0.weight"].erase("dtype"), "has no \"dtype\"");
  CHECK_CHANGE_REFUSED(h["0.bias"]["data_offsets"] = Json({88, 104}), "two tensors overlap");
  CHECK_CHANGE_REFUSED(h.erase("0.bias"), "there is a hole in front of a tensor");
  CHECK_CHANGE_REFUSED((h["x"] = h["0.bias"], h.erase("0.bias")), "there is no tensor '0.bias'");
  CHECK_CHANGE_REFUSED(
      (h["x"] = Json{{"dtype", "U8"}, {"shape", Json::array({0})}, {"data_offsets", Json::array({0, 0})}}),
      "where the tensor 'x' belongs");
}

TEST_CASE("hostile models: the description") {
  File file = good();
  Json whole = file.header;
  whole["__metadata__"]["chainrule"] = "{";
  CHECK_REFUSED(read(file.with_header(whole.dump())), "its description of the model is wrong: no valid JSON");
  whole["__metadata__"]["chainrule"] = std::string(300, '[') + std::string(300, ']');
  CHECK_REFUSED(read(file.with_header(whole.dump())), "nested deeper than 256 levels");
  whole["__metadata__"]["chainrule"] = "{\"format\":1,\"format\":1}";
  CHECK_REFUSED(read(file.with_header(whole.dump())), "'format' is there twice");
  CHECK_CHANGE_REFUSED(m["format"] = 2, "format 2 is newer", "update chainrule");
  CHECK_CHANGE_REFUSED(m["format"] = 0, "out of range");
  CHECK_CHANGE_REFUSED(m.erase("graphs"), "has no \"graphs\"");
  CHECK_CHANGE_REFUSED(m["code"] = "print()", "not known: 'code'");
  CHECK_CHANGE_REFUSED(m["dtype"] = "int64", "neither \"float32\" nor \"float64\"");
  CHECK_CHANGE_REFUSED(m["link"] = "magic", "unknown link");
  CHECK_CHANGE_REFUSED(m["training"] = 1, "training: should be an object");
  CHECK_CHANGE_REFUSED(m["schema"] = Json::object(), "schema");
  CHECK_CHANGE_REFUSED(m["input_shapes"] = Json({{7}}), "are not those of \"input_shapes\"");
  CHECK_CHANGE_REFUSED(m["input_shapes"] = Json({{6}, {6}}), "are not those of \"input_shapes\"");
  CHECK_CHANGE_REFUSED(m["input_shapes"] = Json({{1, 1, 1, 1, 1, 1, 1, 6}}), "too many sizes");
}

TEST_CASE("hostile models: the tree") {
  auto child = [](Json& m, std::size_t i) -> Json& { return m["tree"]["children"][i][1]; };
  CHECK_CHANGE_REFUSED(m["tree"].erase("kind"), "tree: has no \"kind\"");
  CHECK_CHANGE_REFUSED(m["tree"]["kind"] = "", "empty or too long");
  CHECK_CHANGE_REFUSED(m["tree"]["children"] = 1, "should be a list");
  CHECK_CHANGE_REFUSED(child(m, 0)["parameters"][0]["tensor"] = "nowhere", "there is no tensor 'nowhere'");
  CHECK_CHANGE_REFUSED(child(m, 0)["parameters"][0]["tensor"] = "4.weight", "is not known yet");
  CHECK_CHANGE_REFUSED(child(m, 4)["parameters"][0]["tensor"] = "0.bias", "where the tensor '4.weight' belongs");
  CHECK_CHANGE_REFUSED(child(m, 0)["parameters"][1]["name"] = "weight", "is not known yet");
  CHECK_CHANGE_REFUSED(child(m, 0)["parameters"][0]["name"] = "", "");
  CHECK_CHANGE_REFUSED(child(m, 4)["buffers"].erase(2), "where the tensor '4.num_batches_tracked' belongs");
  CHECK_CHANGE_REFUSED(
      (child(m, 4)["parameters"].push_back(child(m, 4)["buffers"][2]), child(m, 4)["buffers"].erase(2)),
      "should be floating");
  CHECK_CHANGE_REFUSED(m["tree"]["children"][1][0] = "0", "the name is taken");
  CHECK_CHANGE_REFUSED(m["tree"]["children"][1][0] = "a..b", "name");
  CHECK_CHANGE_REFUSED(child(m, 0) = Json({{"same_as", "1"}}), "no module '1' before it");
  CHECK_CHANGE_REFUSED(child(m, 0)["arguments"] = Json({{"x"}}), "should be [name, value]");
  CHECK_CHANGE_REFUSED(child(m, 0)["arguments"] = Json::array({Json::array({"x", Json::array({0.5})})}),
                       "should be an integer");
  CHECK_CHANGE_REFUSED(child(m, 0)["in_features"] = -1, "out of range");
  // Modules that share modules that share ...: 2^40 places.
  Json tower{{"kind", "Identity"}};
  for (int i = 0; i < 40; ++i) {
    std::string path = "5.a";
    for (int k = i; k < 39; ++k) path += ".a";
    const Json below = Json::array({"a", tower}), again = Json::array({"b", Json{{"same_as", path}}});
    tower = Json{{"kind", "Sequential"}, {"children", Json::array({below, again})}};
  }
  CHECK_CHANGE_REFUSED(child(m, 5) = tower, "modules are shared in too many places");
}

TEST_CASE("hostile models: values and definitions") {
  CHECK_CHANGE_REFUSED(eval["values"][0][0] = "complex64", "is no dtype: 'complex64'");
  CHECK_CHANGE_REFUSED(eval["values"][0] = Json({"float32"}), "should be [dtype, shape]");
  CHECK_CHANGE_REFUSED(eval["values"][0][1] = Json({Json({2, 0}), 6}), "should be B and fixed sizes");
  CHECK_CHANGE_REFUSED(eval["values"][0][1] = Json({Json({1, 0}), Json({1, 1})}), "should be B and fixed sizes");
  CHECK_CHANGE_REFUSED(eval["values"][0][1] = Json({Json({1, 0}), Json()}), "should be B and fixed sizes");
  CHECK_CHANGE_REFUSED(eval["values"][0][1][0] = Json({1, 2, 3}), "should be a number or [a, b]");
  CHECK_CHANGE_REFUSED(eval["values"][0][1][1] = std::int64_t{1} << 60, "out of range");
  CHECK_CHANGE_REFUSED(
      eval["values"][2][1][1] = 5,
      "graphs.eval.values[2]: the stored type is not what the ops give at batch size 2: float32 (2, 4)");
  CHECK_CHANGE_REFUSED(eval["values"][2][0] = "float64", "the stored type");
  CHECK_CHANGE_REFUSED(eval["values"].push_back(eval["values"][0]), "is never defined");
  CHECK_CHANGE_REFUSED(eval["inputs"] = Json::array(), "inputs: is empty");
  CHECK_CHANGE_REFUSED(eval["outputs"] = Json::array(), "outputs: is empty");
  CHECK_CHANGE_REFUSED(eval["inputs"][0] = -1, "out of range: -1");
  CHECK_CHANGE_REFUSED(eval["inputs"][0] = 1000, "out of range: 1000");
  CHECK_CHANGE_REFUSED(nodes[0]["inputs"][0] = 6, "read before it is defined");
  CHECK_CHANGE_REFUSED(nodes[0]["outputs"][0] = 0, "value 0 is defined twice");
  CHECK_CHANGE_REFUSED(eval["outputs"][0] = "0", "should be an integer");
  CHECK_CHANGE_REFUSED(eval["tensors"][0] = 1, "should be a list");
  CHECK_CHANGE_REFUSED(eval["tensors"][0][1] = "nowhere", "there is no tensor 'nowhere'");
  CHECK_CHANGE_REFUSED(eval["constants"][0][1] = Json({{"tensor", "constants/0"}}), "there is no tensor 'constants/0'");
  CHECK_CHANGE_REFUSED(eval["constants"][0][1] = "five", "should be a number");
  CHECK_CHANGE_REFUSED(eval["rng"] = 0, "value 0 is defined twice");
  CHECK_CHANGE_REFUSED(m["graphs"]["train"]["updates"][0][0] = "4.weight", "update '4.weight', which is a parameter");
  CHECK_CHANGE_REFUSED(m["graphs"]["train"]["updates"][0][0] = "nowhere", "there is no tensor 'nowhere'");
  CHECK_CHANGE_REFUSED(m["graphs"]["train"]["updates"][0][1] = 0, "the new value of '4.running_mean' has another type");
  CHECK_CHANGE_REFUSED(m["graphs"]["infer"] = eval, "not known: 'infer'");
}

TEST_CASE("hostile models: nodes and attributes") {
  CHECK_CHANGE_REFUSED(nodes[0]["op"] = "system", "there is no op 'system'; the file may come from a newer chainrule");
  CHECK_CHANGE_REFUSED((nodes[2]["op"] = "check_finite"), "cannot be part of a model file");
  CHECK_CHANGE_REFUSED(nodes[0]["version"] = 99, "version 99 of matmul is newer");
  CHECK_CHANGE_REFUSED(nodes[0]["version"] = 0, "out of range");
  CHECK_CHANGE_REFUSED(nodes[0]["inputs"].push_back(0), "matmul does not take 3");
  CHECK_CHANGE_REFUSED(nodes[0]["outputs"] = Json::array(), "matmul does not give 0");
  CHECK_CHANGE_REFUSED(nodes[0].erase("attributes"), "has no \"attributes\"");
  CHECK_CHANGE_REFUSED(nodes[0]["attributes"]["more"] = 1, "should hold the 2 attributes of matmul");
  CHECK_CHANGE_REFUSED(nodes[0]["attributes"]["transpose_a"] = 1, "should be true or false");
  CHECK_CHANGE_REFUSED(nodes[0]["attributes"]["transpose_a"] = true, "matmul: inner sizes differ");
  CHECK_CHANGE_REFUSED(nodes[0]["more"] = 1, "not known: 'more'");
  // The reshape of Flatten.
  auto reshape = [](Json& nodes) -> Json& {
    for (Json& node : nodes)
      if (node["op"] == "reshape") return node["attributes"]["shape"];
    return nodes;
  };
  CHECK(reshape(good().model["graphs"]["eval"]["nodes"]).dump() == "[[1,0],4]");
  CHECK_CHANGE_REFUSED(reshape(nodes)[1] = 5, "reshape: the number of elements differs");
  CHECK_CHANGE_REFUSED(reshape(nodes)[1] = -7, "reshape: ");
  CHECK_CHANGE_REFUSED(reshape(nodes)[1] = std::int64_t{1} << 50, "out of range");
  CHECK_CHANGE_REFUSED(reshape(nodes) = Json({std::int64_t{1} << 40, std::int64_t{1} << 40}),
                       "an attribute is out of range");
  CHECK_CHANGE_REFUSED(reshape(nodes) = Json({1, 1, 1, 1, 1, 1, 1, 1, 1}), "more than 8 entries");
  CHECK_CHANGE_REFUSED(reshape(nodes)[0] = Json({std::int64_t{1} << 47, 0}), "reshape");
  CHECK_CHANGE_REFUSED(reshape(nodes)[0] = Json({0, 2}), "the number of elements differs");  // a frozen batch size
}

TEST_CASE("hostile models: sizes that only explode at larger batches") {
  // y = x broadcast to (2^40, B, 6): loading only infers it; for a large batch the number of elements overflows.
  File file(to_bytes(nn::make_module<Leaky>("mean"), {}));
  Json& eval = file.model["graphs"]["eval"];
  eval["nodes"] =
      Json::array({Json{{"op", "broadcast_to"},
                        {"version", 1},
                        {"inputs", {0}},
                        {"outputs", {1}},
                        {"attributes", {{"shape", Json::array({std::int64_t{1} << 40, Json({1, 0}), 6})}}}}});
  eval["values"] =
      Json::array({eval["values"][0], Json::array({"float32", Json::array({std::int64_t{1} << 40, Json({1, 0}), 6})})});
  const Model model = read(file.bytes());
  CHECK_REFUSED_AS(ShapeError, model(Tensor::zeros({100'000, 6})), "too many elements");
}

TEST_CASE("hostile models: random damage to good files") {
  std::mt19937 random(1);
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  for (const nn::Module& model : all_models()) {
    const std::string bytes = model.to_bytes();
    for (int round = 0; round < 150; ++round) {
      std::string wrong = bytes;
      for (std::size_t k = 0; k <= pick(3); ++k) wrong[pick(wrong.size())] = static_cast<char>(random());
      if (pick(4) == 0) wrong.resize(pick(wrong.size()));
      try {
        const Model loaded = read(wrong);
        (void)loaded(numbers({3, 6}));
      } catch (const Error&) {}
    }
  }
}

TEST_CASE("hostile models: numbers in the description replaced one by one") {
  for (const nn::Module& model : all_models()) {
    const File file(model.to_bytes());
    // Paths of all numbers in the graphs.
    const Json flat = file.model["graphs"].flatten();
    for (const auto& [path, value] : flat.items()) {
      if (!value.is_number() && !value.is_boolean()) continue;
      for (const Json& other : {Json(-1), Json(0), Json(1), Json(3), Json(7), Json(1 << 20),
                                Json(std::int64_t{1} << 45), Json(0.5), Json(true)}) {
        File changed = file;
        changed.model["graphs"][Json::json_pointer(path)] = other;
        try {
          const Model loaded = read(changed.bytes());
          (void)loaded(numbers({3, 6}));
        } catch (const Error&) {}
      }
    }
  }
}

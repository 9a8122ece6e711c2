//===- TextTest.cpp - ONNX's text syntax ----------------------------------===//

#include "Helpers.h"

#include <cmath>
#include <limits>

using namespace rapt::onnx;
using namespace rapt::onnx::test;

namespace {

constexpr const char *header = "<ir_version: 8, opset_import: [\"\": 17]>\n";

/// The only node of a graph with inputs x and w.
Result withNode(const std::string &node) {
  return read(header + ("g (float[N, 4] x, float w) => (y) { " + node + " }"));
}

TEST(Text, WholeModel) {
  Result result = read("# a comment, with \"quotes\"\n"
                       "<ir_version: 8, opset_import: [\"\": 17, \"com.microsoft\": 1],\n"
                       " producer_name: \"a \\\"b\\\"\", model_version: 3, domain: \"d\",\n"
                       " doc_string: \"text\", metadata_props: [\"k\": \"v\"]>\n"
                       "example (float[batch, 4, ?] x, int64[] any, float scalar) => (float y)\n"
                       "<float[2] t, float[2, 2] W = {1, 2.5, -3e2, nan}, int64[0] none = {}>\n"
                       "{ [first] h = MatMul (x, W) # trailing\n"
                       "  y = com.microsoft.Gelu (h) }");
  ASSERT_EQ(result.error, "");
  const Model &model = *result.model;
  EXPECT_EQ(model.producerName, "a \"b\"");
  EXPECT_EQ(model.modelVersion, 3);
  EXPECT_EQ(model.opset("com.microsoft"), 1);
  ASSERT_EQ(model.graph.inputs.size(), 3u);
  const TensorType &x = model.graph.inputs[0].tensor;
  EXPECT_EQ(x.dims[0].param, "batch");
  EXPECT_EQ(x.dims[1].value, 4);
  EXPECT_EQ(x.dims[2].kind, Dim::Unknown);
  EXPECT_FALSE(model.graph.inputs[1].tensor.hasShape);
  EXPECT_TRUE(model.graph.inputs[2].tensor.hasShape);
  EXPECT_EQ(model.graph.valueInfo.size(), 1u);
  std::vector<float> values = valuesOf<float>(model.graph.initializers[0]);
  ASSERT_EQ(values.size(), 4u);
  EXPECT_EQ(values[1], 2.5f);
  EXPECT_EQ(values[2], -300.0f);
  EXPECT_TRUE(std::isnan(values[3]));
  EXPECT_EQ(model.graph.nodes[0].name, "first");
  EXPECT_EQ(model.graph.nodes[1].domain, "com.microsoft");
  EXPECT_EQ(model.graph.nodes[1].opType, "Gelu");
}

TEST(Text, Attributes) {
  Result result = withNode("y = Op <i = -7, f = 0.5, s = \"a\\\\b\", is = [1, 2], fs = [1.0, 2], "
                           "ss = [\"p\", \"q\"], g: float = 3, none: ints = [], inf = -inf, "
                           "t = int64[2] {4, 5}, named = float v = {1}, kind = float[N]> (x)");
  ASSERT_EQ(result.error, "");
  const Node &node = result.model->graph.nodes[0];
  EXPECT_EQ(node.find("i")->i, -7);
  EXPECT_EQ(node.find("f")->f, 0.5f);
  EXPECT_EQ(node.find("s")->s, "a\\b");
  EXPECT_EQ(node.find("is")->ints, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(node.find("fs")->floats, (std::vector<float>{1, 2}));
  EXPECT_EQ(node.find("ss")->strings, (std::vector<llvm::StringRef>{"p", "q"}));
  EXPECT_EQ(node.find("g")->f, 3.0f);
  EXPECT_EQ(node.find("none")->type, AttributeType::Ints);
  EXPECT_EQ(node.find("inf")->f, -std::numeric_limits<float>::infinity());
  EXPECT_EQ(valuesOf<int64_t>(node.find("t")->t()), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(node.find("named")->t().name, "v");
  EXPECT_EQ(node.find("kind")->type, AttributeType::TypeProto);
}

TEST(Text, NodeForms) {
  const Node attributesLast = withNode("y = Softmax (x) <axis = 1>").model->graph.nodes[0];
  EXPECT_EQ(attributesLast.attributes.size(), 1u);
  Result omitted = withNode("y, \"\", \"quoted name\" = Op:variant (x, , \"\", w,)");
  const Node &node = omitted.model->graph.nodes[0];
  EXPECT_EQ(node.overload, "variant");
  EXPECT_EQ(node.inputs, (llvm::SmallVector<llvm::StringRef>{"x", "", "", "w"}));
  EXPECT_EQ(node.outputs, (llvm::SmallVector<llvm::StringRef>{"y", "", "quoted name"}));
}

TEST(Text, OtherTypes) {
  Result result = read(std::string(header) +
                       "g (seq(float[N]) a, map(int64, float) b, optional(seq(float)) c, "
                       "sparse_tensor(float[2]) d, opaque(some.domain, name) e, f) => (a) { }");
  ASSERT_EQ(result.error, "");
  const std::vector<ValueInfo> &inputs = result.model->graph.inputs;
  EXPECT_EQ(inputs[0].kind, ValueInfo::Sequence);
  EXPECT_EQ(inputs[1].kind, ValueInfo::Map);
  EXPECT_EQ(inputs[2].kind, ValueInfo::Optional);
  EXPECT_EQ(inputs[3].kind, ValueInfo::SparseTensor);
  EXPECT_EQ(inputs[4].kind, ValueInfo::Opaque);
  EXPECT_EQ(inputs[5].kind, ValueInfo::Untyped);
}

TEST(Text, ElementTypesOfTensors) {
  auto constant = [](const std::string &text) {
    Result result = withNode("y = Constant <value = " + text + "> ()");
    EXPECT_EQ(result.error, "");
    return result.error.empty() ? valuesOf<uint8_t>(result.model->graph.nodes[0].find("value")->t())
                                : std::vector<uint8_t>();
  };
  EXPECT_EQ(constant("float16[1] {15360}"), (std::vector<uint8_t>{0x00, 0x3c}));
  EXPECT_EQ(constant("int8[2] {-1, 255}"), (std::vector<uint8_t>{0xff, 0xff}));
  EXPECT_EQ(constant("bool[2] {1, 0}"), (std::vector<uint8_t>{1, 0}));
  EXPECT_EQ(constant("uint4[3] {33, 3}"), (std::vector<uint8_t>{0x21, 0x03}));
  EXPECT_EQ(constant("uint32[1] {4294967295}"), (std::vector<uint8_t>{255, 255, 255, 255}));
  EXPECT_EQ(constant("complex64[1] {0, 1}"), (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0x80, 0x3f}));
}

class TextFileTest : public FolderTest {};

TEST_F(TextFileTest, ExternalData) {
  float values[] = {1, 2, 3};
  write("w.bin", std::string(reinterpret_cast<char *>(values), sizeof(values)));
  std::string path =
      write("m.onnxtxt", std::string(header) + "g (float[2] x) => (float[2] y) <float[2] w = "
                                               "[\"location\": \"w.bin\", \"offset\": \"4\"]> "
                                               "{ y = Add (x, w) }");
  auto model = loadModel(path);
  ASSERT_TRUE(!!model) << llvm::toString(model.takeError());
  EXPECT_EQ(valuesOf<float>((*model)->graph.initializers[0]), (std::vector<float>{2, 3}));
}

TEST(Text, ErrorsSayWhere) {
  EXPECT_EQ(errorOf("<ir_version: 8,\n  opset: []>"), "2:9: unknown model property 'opset'");
  EXPECT_EQ(errorOf(std::string(header) + "g (float x) => (float y)\n{ y Neg (x) }"),
            "3:5: expected '='");
  EXPECT_EQ(errorOf(std::string(header) + "g (float x) (float y) {}"), "2:13: expected '=>'");
  EXPECT_EQ(errorOf(std::string(header) + "g (float x) => (float y) { y = Neg (x"),
            "2:38: expected ')'");
  EXPECT_HAS(errorOf("<ir_version: \"x\">"), "expected a 64-bit integer, found 'x'");
  EXPECT_HAS(errorOf("<ir_version: 99999999999999999999>"), "expected a 64-bit integer");
  EXPECT_HAS(errorOf("<producer_name: \"abc"), "1:17: the string has no end");
  EXPECT_HAS(errorOf("<producer_name: \"abc\\"), "the string has no end");
}

TEST(Text, LiteralErrors) {
  auto constant = [](const std::string &text) {
    return withNode("y = Constant <value = " + text + "> ()").error;
  };
  EXPECT_HAS(constant("int8[1] {300}"), "value 300 does not fit int8");
  EXPECT_HAS(constant("float[1] {1e99}"), "expected a number within range, found '1e99'");
  EXPECT_EQ(constant("float[1] {1e-99}"), "");
  EXPECT_HAS(constant("int64[1] {1.5}"), "expected a 64-bit integer, found '1.5'");
  EXPECT_HAS(constant("uint64[1] {-1}"), "expected an unsigned 64-bit integer, found '-1'");
  EXPECT_HAS(constant("float[2] {1}"), "float[2] needs 2 values, found 1");
  EXPECT_HAS(constant("float[1] {1, 2}"), "float[1] needs 1 values, found more");
  EXPECT_HAS(constant("float[1000000000] {1}"), "found at most");
  EXPECT_HAS(constant("float[N] {1}"), "a constant needs a shape of numbers");
  EXPECT_HAS(constant("float[-1] {1}"), "is negative");
  EXPECT_HAS(constant("[]"), "an empty list needs a type");
}

TEST(Text, DeclaredTypeMustMatch) {
  EXPECT_HAS(withNode("y = Op <a = [1, 2.5]> (x)").error,
             "attribute 'a' is of type ints but an element is of type float");
  EXPECT_HAS(withNode("y = Op <a: int = 1.5> (x)").error,
             "attribute 'a' is declared as int but its value is of type float");
  EXPECT_HAS(withNode("y = Op <a: what = 1> (x)").error, "unknown attribute type 'what'");
  EXPECT_HAS(withNode("y = Op <a: ints = 1> (x)").error, "is declared as ints");
}

TEST(Text, DepthBombs) {
  std::string graphs, types;
  for (int i = 0; i < 100000; ++i) {
    graphs += "y = If <b = g () => () { ";
    types += "seq(";
  }
  EXPECT_HAS(withNode(graphs).error, "graphs are nested deeper than 32 levels");
  EXPECT_HAS(errorOf(header + ("g (" + types + "float x) => () {}")),
             "types are nested deeper than 32 levels");
}

TEST(Text, EveryPrefixIsReadOrRejected) {
  std::string whole = std::string(header) +
                      "g (float[N] x) => (float[N] y) <float[2] w = {1, 2}> "
                      "{ y = Op <a = [1], s = \"\\\\\", t = float {1}, b = @r> (x, w) }";
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(errorOf(whole.substr(0, size)), "") << size;
}

} // namespace

//===- VerifyTest.cpp - Structure of a model ------------------------------===//

#include "Helpers.h"
#include "ProtoWriter.h"

using namespace rapt::onnx;
using namespace rapt::onnx::test;

namespace {

constexpr const char *header = "<ir_version: 8, opset_import: [\"\": 17]>\n";

std::string errorOfGraph(const std::string &graph) { return errorOf(header + graph); }

TEST(Verify, Versions) {
  Proto graph = graphProto().message(1, nodeProto("Neg", {"x"}, {"y"}));
  EXPECT_EQ(errorOf(modelProto(graph, 3, 7).bytes), "");
  EXPECT_EQ(errorOf(modelProto(graph, 14, 29).bytes), "");
  EXPECT_EQ(errorOf(modelProto(graph, 2).bytes), "IR version 2 is not supported, expected 3 to 14");
  EXPECT_HAS(errorOf(modelProto(graph, 15).bytes), "IR version 15 is not supported");
  EXPECT_HAS(errorOf(modelProto(graph, 8, 6).bytes),
             "opset 6 of the default domain is not supported, expected 7 to 29");
  EXPECT_HAS(errorOf(modelProto(graph, 8, 30).bytes), "opset 30");
  EXPECT_EQ(errorOf(Proto().integer(1, 8).message(7, graph).bytes), "the model imports no opset");
}

TEST(Verify, DomainNotImported) {
  // A node of the graph is the importer's business, which lists it with others.
  EXPECT_EQ(errorOfGraph("g (float x) => (float y) { [n] y = com.microsoft.Gelu (x) }"), "");
  EXPECT_HAS(errorOf("<ir_version: 8, opset_import: [\"\": 17, \"local\": 1]>"
                     "g (float x) => (float y) { y = local.f (x) }"
                     "<domain: \"local\", opset_import: [\"\": 17]>"
                     "f (a) => (b) { [n] b = com.microsoft.Gelu (a) }"),
             "node 'n' (com.microsoft.Gelu): no opset is imported for domain 'com.microsoft'");
  EXPECT_HAS(errorOf("<ir_version: 8, opset_import: [\"\": 17, \"ai.onnx\": 18]>"
                     "g (float x) => (float y) { y = Neg (x) }"),
             "domain '' is imported twice");
}

TEST(Verify, MissingTensor) {
  EXPECT_EQ(errorOfGraph("g (float x) => (float y) { [add] y = Add (x, w) }"),
            "node 'add' (Add): input 1 'w' is not defined");
}

TEST(Verify, Unsorted) {
  EXPECT_EQ(
      errorOfGraph("g (float x) => (float y) { y = Neg (t)  [late] t = Abs (x) }"),
      "node #0 (Neg -> 'y'): input 0 't' is produced later by node 'late' (Abs), so the graph "
      "is not topologically sorted");
}

TEST(Verify, Cyclic) {
  EXPECT_EQ(errorOfGraph("g (float x) => (float y) { y = Add (x, t)  t = Neg (s)  s = Abs (y) }"),
            "node #0 (Add -> 'y'): input 1 't' depends on the node's own result, so the graph is "
            "cyclic");
  EXPECT_HAS(errorOfGraph("g (float x) => (float y) { y = Neg (y) }"), "so the graph is cyclic");
}

TEST(Verify, NamesAreDefinedOnce) {
  EXPECT_HAS(errorOfGraph("g (float x) => (float y) { y = Neg (x)  y = Abs (x) }"),
             "node #1 (Abs -> 'y'): output 'y' is defined twice");
  EXPECT_HAS(errorOfGraph("g (float x) => (float y) { x = Neg (x) y = Neg (x) }"),
             "output 'x' is defined twice");
  EXPECT_HAS(errorOfGraph("g (float x, float x) => (float y) { y = Neg (x) }"),
             "graph input 'x' is defined twice");
  EXPECT_HAS(errorOfGraph("g (float x) => (float y) <float w = {1}, float w = {2}> "
                          "{ y = Add (x, w) }"),
             "initializer 'w' is defined twice");
}

TEST(Verify, InputWithInitializerIsAConstant) {
  Result result =
      read(std::string(header) + "g (float x, float w = {2}) => (float y) { y = Add (x, w) }");
  ASSERT_EQ(result.error, "");
  ASSERT_EQ(result.model->graph.inputs.size(), 1u);
  EXPECT_EQ(result.model->graph.inputs.front().name, "x");
}

TEST(Verify, GraphOutputs) {
  EXPECT_EQ(errorOfGraph("g (float x) => (float z) { y = Neg (x) }"),
            "graph output 'z' is not produced");
  EXPECT_EQ(errorOfGraph("g (float x) => (float y, float y) { y = Neg (x) }"),
            "graph output 'y' is listed twice");
  // The graph of a node may list one as often as it likes.
  EXPECT_EQ(errorOfGraph("g (bool c, float x) => (float y, float z) { y, z = If (c) "
                         "<then_branch = t () => (float a, float a) { a = Neg (x) }, "
                         "else_branch = e () => (float b, float d) { b = Abs (x) d = Neg (x) }> }"),
            "");
  EXPECT_EQ(errorOfGraph("g (float x) => () { y = Neg (x) }"), "the graph has no output");
  EXPECT_EQ(errorOfGraph("g (float x) => (float x) { }"), "");
}

TEST(Verify, Subgraphs) {
  // The branch sees outer names and may shadow one; it does not see what is produced later.
  EXPECT_EQ(errorOfGraph("g (bool c, float x) => (float y) { t = Neg (x) y = If (c) "
                         "<then_branch = a () => (float t) { t = Abs (t) }, "
                         "else_branch = b () => (float u) { u = Abs (x) }> }"),
            "");
  EXPECT_HAS(
      errorOfGraph("g (bool c, float x) => (float y) { y = If (c) "
                   "<then_branch = a () => (float t) { t = Abs (late) }> late = Neg (x) }"),
      "node #0 (If -> 'y'): attribute 'then_branch': node #0 (Abs -> 't'): input 0 'late' of "
      "the enclosing graph is produced later");
  EXPECT_HAS(errorOfGraph("g (bool c, float x) => (float y) { y = If (c) "
                          "<then_branch = a () => (float t) { t = Abs (nothing) }> }"),
             "input 0 'nothing' is not defined");
}

TEST(Verify, Attributes) {
  EXPECT_HAS(errorOfGraph("g (float x) => (float y) { y = Softmax <axis = 1, axis = 2> (x) }"),
             "node #0 (Softmax -> 'y') has attribute 'axis' twice");
  EXPECT_HAS(errorOfGraph("g (float x) => (float y) { y = Softmax <axis: int = @a> (x) }"),
             "attribute 'axis' refers to function attribute 'a' outside of a function");
}

TEST(Verify, EmptyOperator) {
  Proto graph = graphProto().message(1, nodeProto("", {"x"}, {"y"}));
  EXPECT_HAS(errorOf(modelProto(graph).bytes), "has no operator");
}

} // namespace

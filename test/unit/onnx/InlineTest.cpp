//===- InlineTest.cpp - Calls of model-local functions --------------------===//

#include "Helpers.h"

using namespace rapt::onnx;
using namespace rapt::onnx::test;

namespace {

constexpr const char *header = "<ir_version: 8, opset_import: [\"\": 17, \"f\": 1]>\n";
constexpr const char *functionHeader = "<domain: \"f\", opset_import: [\"\": 17, \"f\": 1]> ";

Result inlined(const std::string &graph, std::initializer_list<std::string> functions) {
  std::string source = header + graph;
  for (const std::string &function : functions)
    source += "\n" + (functionHeader + function);
  return read(source, ".", /*inlineCalls=*/true);
}

/// `y=Op(a,b)` for each node.
std::string textOf(const Result &result) {
  std::string text = result.error;
  for (const Node &node : result.model->graph.nodes) {
    text += text.empty() ? "" : " ";
    for (llvm::StringRef output : node.outputs)
      text += (output == node.outputs.front() ? "" : ",") + output.str();
    text += "=" + node.opType.str() + "(";
    for (size_t i = 0; i < node.inputs.size(); ++i)
      text += (i ? "," : "") + node.inputs[i].str();
    text += ")";
  }
  return text;
}

TEST(Inline, RenamesInsideValues) {
  Result result = inlined("g (float x) => (float y) { [one] t = f.Twice (x) y = f.Twice (t) }",
                          {"Twice (a) => (b) { [n] s = Add (a, a) b = Identity (s) }"});
  EXPECT_EQ(textOf(result), "one/s=Add(x,x) t=Identity(one/s) Twice/s=Add(t,t) "
                            "y=Identity(Twice/s)");
  EXPECT_EQ(result.model->graph.nodes[0].name, "one/n");
  EXPECT_EQ(result.model->graph.nodes[3].index, 3u);
  EXPECT_TRUE(result.model->functions.empty());
}

TEST(Inline, FreshNamesAvoidTakenOnes) {
  EXPECT_EQ(textOf(inlined("g (float x) => (float y) "
                           "{ \"F/s\" = Neg (x) t = f.F (\"F/s\") y = f.F (t) }",
                           {"F (a) => (b) { s = Abs (a) b = Neg (s) }"})),
            "F/s=Neg(x) F/s_1=Abs(F/s) t=Neg(F/s_1) F/s_2=Abs(t) y=Neg(F/s_2)");
}

TEST(Inline, FunctionsInFunctionsAndSubgraphs) {
  EXPECT_EQ(textOf(inlined("g (float x) => (float y) { y = f.Outer (x) }",
                           {"Outer (a) => (b) { t = f.Inner (a) b = f.Inner (t) }",
                            "Inner (a) => (b) { b = Neg (a) }"})),
            "Outer/t=Neg(x) y=Neg(Outer/t)");
  Result result = inlined("g (bool c, float x) => (float y) { y = If (c) <then_branch = "
                          "a () => (float r) { r = f.F (x) }, "
                          "else_branch = b () => (float r) { r = Neg (x) }> }",
                          {"F (a) => (b) { b = Abs (a) }"});
  ASSERT_EQ(result.error, "");
  EXPECT_EQ(result.model->graph.nodes[0].find("then_branch")->g().nodes[0].opType, "Abs");
}

TEST(Inline, SubgraphInABodySeesRenamedValues) {
  Result result = inlined("g (bool c, float x) => (float y) { y = f.F (c, x) }",
                          {"F (c, a) => (b) { s = Neg (a) b = If (c) <then_branch = "
                           "t () => (float r) { r = Abs (s) }, "
                           "else_branch = e () => (float s) { s = Abs (s) }> }"});
  ASSERT_EQ(result.error, "");
  const Node &branch = result.model->graph.nodes[1];
  EXPECT_EQ(branch.find("then_branch")->g().nodes[0].inputs[0], "F/s");
  EXPECT_EQ(branch.find("else_branch")->g().nodes[0].inputs[0], "F/s");
  EXPECT_EQ(branch.find("else_branch")->g().outputs[0].name, "F/s_1");
}

TEST(Inline, AttributesGivenDefaultAndAbsent) {
  std::string function =
      "F <axis, alpha: float = 0.5> (a) => (b) { t = Softmax <axis: int = @axis> "
      "(a) b = LeakyRelu <alpha: float = @alpha> (t) }";
  Result given =
      inlined("g (float x) => (float y) { y = f.F <axis = 2, alpha = 0.25> (x) }", {function});
  ASSERT_EQ(given.error, "");
  EXPECT_EQ(given.model->graph.nodes[0].find("axis")->i, 2);
  EXPECT_EQ(given.model->graph.nodes[1].find("alpha")->f, 0.25f);
  Result absent = inlined("g (float x) => (float y) { y = f.F (x) }", {function});
  ASSERT_EQ(absent.error, "");
  EXPECT_EQ(absent.model->graph.nodes[0].find("axis"), nullptr);
  EXPECT_EQ(absent.model->graph.nodes[1].find("alpha")->f, 0.5f);
}

TEST(Inline, AttributeErrors) {
  std::string function = "F <axis> (a) => (b) { b = Softmax <axis: int = @axis> (a) }";
  EXPECT_HAS(inlined("g (float x) => (float y) { y = f.F <axis = 1.5> (x) }", {function}).error,
             "attribute 'axis' is of type float, expected int");
  EXPECT_HAS(inlined("g (float x) => (float y) { y = f.F <other = 1> (x) }", {function}).error,
             "function 'f.F': it has no attribute 'other'");
  EXPECT_HAS(inlined("g (float x) => (float y) { y = f.F (x) }",
                     {"F (a) => (b) { b = Softmax <axis: int = @axis> (a) }"})
                 .error,
             "refers to 'axis', which the function does not declare");
}

TEST(Inline, OmittedInputsAndOutputs) {
  EXPECT_EQ(
      textOf(inlined("g (float x) => (float y) { y = f.F (x) }",
                     {"F (a, lo, hi) => (b, extra) { b = Clip (a, lo, hi) extra = Neg (b) }"})),
      "y=Clip(x,,) F/extra=Neg(y)");
  EXPECT_HAS(
      inlined("g (float x) => (float y) { y = f.F (x, x) }", {"F (a) => (b) { b = Neg (a) }"})
          .error,
      "it takes 1 inputs and gives 1 outputs, the call has 2 and 1");
}

TEST(Inline, InputHandedThrough) {
  EXPECT_EQ(textOf(inlined("g (float x) => (float y, float z) { y, z = f.F (x) }",
                           {"F (a) => (a, b) { b = Neg (a) }"})),
            "z=Neg(x) y=Identity(x)");
}

TEST(Inline, Recursion) {
  EXPECT_HAS(inlined("g (float x) => (float y) { y = f.F (x) }",
                     {"F (a) => (b) { b = f.G (a) }", "G (a) => (b) { b = f.F (a) }"})
                 .error,
             "it calls itself");
}

TEST(Inline, DepthLimit) {
  std::string source = std::string(header) + "g (float x) => (float y) { y = f.F0 (x) }";
  for (int i = 0; i < 40; ++i)
    source += functionHeader + ("F" + std::to_string(i)) + " (a) => (b) { b = f.F" +
              std::to_string(i + 1) + " (a) }";
  source += std::string(functionHeader) + "F40 (a) => (b) { b = Neg (a) }";
  EXPECT_HAS(read(source, ".", true).error, "calls are nested deeper than 32");
}

TEST(Inline, NodeLimit) {
  // 25 levels of two calls each would be 33 million nodes.
  std::string source = std::string(header) + "g (float x) => (float y) { y = f.F0 (x) }";
  for (int i = 0; i < 25; ++i) {
    std::string next = "f.F" + std::to_string(i + 1);
    source += functionHeader + ("F" + std::to_string(i)) + " (a) => (b) { t = " + next +
              " (a) b = " + next + " (t) }";
  }
  source += std::string(functionHeader) + "F25 (a) => (b) { b = Neg (a) }";
  EXPECT_HAS(read(source, ".", true).error, "inlining gives more than 1000000 nodes");
}

TEST(Inline, OtherOpset) {
  EXPECT_HAS(read(std::string(header) + "g (float x) => (float y) { y = f.F (x) } "
                                        "<domain: \"f\", opset_import: [\"\": 18]> "
                                        "F (a) => (b) { b = Neg (a) }",
                  ".", true)
                 .error,
             "it imports opset 18 of domain '', but the model imports 17");
}

TEST(Inline, BadFunctions) {
  auto errorFor = [](const std::string &function) {
    return inlined("g (float x) => (float y) { y = Neg (x) }", {function}).error;
  };
  EXPECT_HAS(errorFor("F (a) => (b) { b = Add (a, c) }"),
             "function 'f.F': node #0 (Add -> 'b'): input 1 'c' is not defined");
  EXPECT_HAS(errorFor("F (a) => (z) { b = Neg (a) }"), "output 'z' is not produced");
  EXPECT_HAS(errorFor("F <k, k: int = 1> (a) => (b) { b = Neg (a) }"), "'k' is declared twice");
  EXPECT_HAS(inlined("g (float x) => (float y) { y = Neg (x) }",
                     {"F (a) => (b) { b = Neg (a) }", "F (a) => (b) { b = Abs (a) }"})
                 .error,
             "function 'f.F' is defined twice");
}

} // namespace

//===- DecodeTest.cpp - Protobuf messages to Model ------------------------===//

#include "Helpers.h"
#include "ProtoWriter.h"

using namespace rapt::onnx;
using namespace rapt::onnx::test;

namespace {

/// y = Add(x, w) with this initializer.
std::string modelWith(const Proto &tensor) {
  return modelProto(graphProto().message(5, tensor).message(1, nodeProto("Add", {"x", "w"}, {"y"})))
      .bytes;
}

const Tensor &onlyTensor(const Result &result) { return result.model->graph.initializers.front(); }

TEST(Decode, SmallModel) {
  Proto attribute = Proto().string(1, "axis").integer(20, 2).integer(3, -1);
  Proto shape = Proto()
                    .message(1, Proto().string(2, "batch"))
                    .message(1, Proto().integer(1, 4))
                    .message(1, Proto());
  Proto type = Proto().message(1, Proto().integer(1, 1).message(2, shape));
  Proto graph = Proto()
                    .string(2, "g")
                    .message(11, Proto().string(1, "x").message(2, type))
                    .message(12, valueProto("y"))
                    .message(1, nodeProto("Softmax", {"x"}, {"y"}, "soft").message(5, attribute));
  Proto model = modelProto(graph).string(2, "writer").message(14, stringPair("k", "v"));
  model.message(8, Proto().string(1, "ai.onnx.ml").integer(2, 3));
  model.integer(99, 1); // a field of the future
  Result result = read(model.bytes);
  ASSERT_EQ(result.error, "");
  const Model &read = *result.model;
  EXPECT_EQ(read.irVersion, 8);
  EXPECT_EQ(read.opset(""), 17);
  EXPECT_EQ(read.opset("ai.onnx.ml"), 3);
  EXPECT_EQ(read.opset("nowhere"), std::nullopt);
  EXPECT_EQ(read.producerName, "writer");
  EXPECT_EQ(read.metadata.front().second, "v");
  const ValueInfo &input = read.graph.inputs.front();
  ASSERT_EQ(input.kind, ValueInfo::Tensor);
  ASSERT_EQ(input.tensor.dims.size(), 3u);
  EXPECT_EQ(input.tensor.dims[0].param, "batch");
  EXPECT_EQ(input.tensor.dims[1].value, 4);
  EXPECT_EQ(input.tensor.dims[2].kind, Dim::Unknown);
  const Node &node = read.graph.nodes.front();
  ASSERT_NE(node.find("axis"), nullptr);
  EXPECT_EQ(node.find("axis")->i, -1);
  EXPECT_EQ(node.find("alpha"), nullptr);
  EXPECT_EQ(node.input(5), "");
  EXPECT_EQ(node.describe(), "node 'soft' (Softmax)");
}

TEST(Decode, NodeNamesInMessages) {
  Node node;
  node.opType = "Gelu";
  node.domain = "com.microsoft";
  node.index = 17;
  node.outputs.push_back("out");
  EXPECT_EQ(node.describe(), "node #17 (com.microsoft.Gelu -> 'out')");
  node.name = "a\nb\x80";
  EXPECT_EQ(node.describe(), "node 'a\\x0Ab\\x80' (com.microsoft.Gelu)");
}

TEST(Decode, RawDataIsAlignedWhereverItLies) {
  for (size_t pad = 0; pad < 4; ++pad) {
    float values[] = {1, 2};
    std::string raw(reinterpret_cast<char *>(values), sizeof(values));
    Proto tensor = tensorProto("w", 1, {2}).string(12, std::string(pad, ' ')).string(9, raw);
    Result result = read(modelWith(tensor));
    ASSERT_EQ(result.error, "");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(onlyTensor(result).bytes.data()) % 4, 0u);
    EXPECT_EQ(valuesOf<float>(onlyTensor(result)), (std::vector<float>{1, 2}));
  }
}

TEST(Decode, EmptyRawDataAtAnyOffset) {
  for (size_t pad = 0; pad < 4; ++pad) {
    Proto tensor = tensorProto("w", 7, {0}).string(12, std::string(pad, ' ')).string(9, "");
    Result result = read(modelWith(tensor));
    ASSERT_EQ(result.error, "");
    EXPECT_TRUE(onlyTensor(result).bytes.empty());
  }
}

TEST(Decode, TypedFields) {
  // Values before dims, packed and not packed mixed.
  Proto ints = Proto().packed(7, {1, -2}).integer(7, 3).raw(tensorProto("w", 7, {3}).bytes);
  EXPECT_EQ(valuesOf<int64_t>(onlyTensor(read(modelWith(ints)))), (std::vector<int64_t>{1, -2, 3}));
  Proto halves = tensorProto("w", 10, {2}).packed(5, {0x3c00, 0xc000});
  EXPECT_EQ(valuesOf<uint16_t>(onlyTensor(read(modelWith(halves)))),
            (std::vector<uint16_t>{0x3c00, 0xc000}));
  Proto floats = tensorProto("w", 1, {}).real(4, 2.5f);
  EXPECT_EQ(valuesOf<float>(onlyTensor(read(modelWith(floats)))), (std::vector<float>{2.5f}));
  Proto nibbles = tensorProto("w", 22, {3}).packed(5, {0x21, 0x03});
  EXPECT_EQ(valuesOf<uint8_t>(onlyTensor(read(modelWith(nibbles)))),
            (std::vector<uint8_t>{0x21, 0x03}));
  Proto strings = tensorProto("w", 8, {2}).string(6, "a").string(6, "");
  EXPECT_EQ(onlyTensor(read(modelWith(strings))).strings, (std::vector<llvm::StringRef>{"a", ""}));
  Proto empty = tensorProto("w", 1, {0, 3});
  EXPECT_TRUE(onlyTensor(read(modelWith(empty))).bytes.empty());
}

TEST(Decode, PayloadSizeMismatch) {
  EXPECT_EQ(errorOf(modelWith(tensorProto("w", 1, {2, 3}).string(9, "12345678"))),
            "initializer 'w': payload has 8 bytes, but float[2,3] needs 24");
  EXPECT_EQ(errorOf(modelWith(tensorProto("w", 7, {3}).packed(7, {1, 2}))),
            "initializer 'w': int64[3] needs 3 values, found at most 2");
  EXPECT_EQ(errorOf(modelWith(tensorProto("w", 7, {1}).packed(7, {1, 2}))),
            "initializer 'w': int64[1] needs 1 values, found more");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {1000000000}))), "found at most 0");
}

TEST(Decode, DimsOverflow) {
  int64_t big = int64_t(1) << 32;
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {big, big}))), "overflows 64 bits");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {0, big, big}))), "overflows 64 bits");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {int64_t(1) << 60}))), "overflows 64 bits");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {-1}))),
             "dimension -1 of float[-1] is negative");
}

TEST(Decode, BadTensors) {
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 0, {}))), "tensor has no element type");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 99, {}))), "element type 99 is outside 0 to 28");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 3, {1}).packed(5, {300}))),
             "value 300 does not fit int8");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {1}).packed(7, {1}))),
             "values of a float tensor are in the wrong field, int64_data, expected float_data");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {1}).packed(7, {1}).real(4, 1))),
             "values in two fields");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {1}).real(4, 1).string(9, "1234"))),
             "both raw data and single values");
  EXPECT_HAS(errorOf(modelWith(tensorProto("w", 1, {1}).message(3, Proto()))), "segments");
}

TEST(Decode, SparseInitializer) {
  EXPECT_HAS(errorOf(modelProto(graphProto().message(15, Proto())).bytes),
             "sparse initializers are not supported");
}

TEST(Decode, BadAttributes) {
  auto withAttribute = [](const Proto &attribute) {
    Proto node = nodeProto("Neg", {"x"}, {"y"}).message(5, attribute);
    return errorOf(modelProto(graphProto().message(1, node)).bytes);
  };
  EXPECT_EQ(withAttribute(Proto().string(1, "a").integer(3, 1)),
            "node #0 (Neg -> 'y'): attribute 'a' has no type");
  EXPECT_HAS(withAttribute(Proto().string(1, "a").integer(20, 4)), "of type tensor has no tensor");
  EXPECT_HAS(withAttribute(Proto().string(1, "a").integer(20, 5)), "of type graph has no graph");
  EXPECT_HAS(withAttribute(Proto().string(1, "a").integer(20, 77)), "attribute type 77");
  EXPECT_HAS(
      withAttribute(Proto().string(1, "a").integer(20, 5).message(6, Proto()).message(6, Proto())),
      "field 6 occurs twice");
}

TEST(Decode, DepthBomb) {
  Proto graph = graphProto();
  for (int i = 0; i < 100; ++i) {
    Proto attribute = Proto().string(1, "body").integer(20, 5).message(6, graph);
    graph = graphProto().message(1, nodeProto("If", {"x"}, {"y"}).message(5, attribute));
  }
  EXPECT_HAS(errorOf(modelProto(graph).bytes), "messages are nested deeper than 64 levels");
}

TEST(Decode, NotAModel) {
  EXPECT_HAS(errorOf(""), "the file has no graph, so it is not an ONNX model");
  EXPECT_NE(errorOf("\x7f"
                    "ELF"),
            "");
}

TEST(Decode, EveryPrefixIsRejected) {
  std::string whole = modelWith(tensorProto("w", 7, {3}).packed(7, {1, 2, 3}));
  ASSERT_EQ(errorOf(whole), "");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(errorOf(whole.substr(0, size)), "") << size;
}

TEST(Decode, EveryBitFlipIsReadOrRejected) {
  std::string whole = modelWith(tensorProto("w", 7, {3}).packed(7, {1, 2, 3}));
  size_t rejected = 0;
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    rejected += !errorOf(damaged).empty();
  }
  EXPECT_GT(rejected, whole.size());
}

} // namespace

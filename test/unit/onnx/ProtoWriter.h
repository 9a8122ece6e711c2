//===- ProtoWriter.h - Writes protobuf messages for tests -----------*- C++ -*-===//
//
// The opposite of Wire.h, in its smallest form: a message is a string that fields are appended to.
// Nothing is checked, so that tests can also write what is wrong.
//
//===----------------------------------------------------------------------===//

#ifndef RAPT_TEST_UNIT_ONNX_PROTOWRITER_H
#define RAPT_TEST_UNIT_ONNX_PROTOWRITER_H

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>

namespace rapt::onnx::test {

class Proto {
public:
  std::string bytes;

  Proto &raw(const std::string &text) {
    bytes += text;
    return *this;
  }
  Proto &varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      bytes += static_cast<char>(value | 0x80);
    bytes += static_cast<char>(value);
    return *this;
  }
  Proto &tag(unsigned field, unsigned wireType) { return varint(field << 3 | wireType); }
  Proto &integer(unsigned field, int64_t value) {
    return tag(field, 0).varint(static_cast<uint64_t>(value));
  }
  Proto &string(unsigned field, const std::string &text) {
    return tag(field, 2).varint(text.size()).raw(text);
  }
  Proto &message(unsigned field, const Proto &inner) { return string(field, inner.bytes); }
  Proto &real(unsigned field, float value) {
    char buffer[4];
    std::memcpy(buffer, &value, 4);
    return tag(field, 5).raw(std::string(buffer, 4));
  }
  Proto &packed(unsigned field, std::initializer_list<int64_t> values) {
    Proto list;
    for (int64_t value : values)
      list.varint(static_cast<uint64_t>(value));
    return message(field, list);
  }
};

/// Field numbers and the usual messages of onnx.proto.
inline Proto nodeProto(const std::string &op, std::initializer_list<const char *> inputs,
                       std::initializer_list<const char *> outputs, const std::string &name = "") {
  Proto node;
  for (const char *input : inputs)
    node.string(1, input);
  for (const char *output : outputs)
    node.string(2, output);
  if (!name.empty())
    node.string(3, name);
  return node.string(4, op);
}

inline Proto tensorProto(const std::string &name, int type, std::initializer_list<int64_t> dims) {
  Proto tensor;
  for (int64_t dim : dims)
    tensor.integer(1, dim);
  return tensor.integer(2, type).string(8, name);
}

inline Proto valueProto(const std::string &name) { return Proto().string(1, name); }

inline Proto stringPair(const std::string &key, const std::string &value) {
  return Proto().string(1, key).string(2, value);
}

/// A graph with input x and output y, to which nodes (field 1) and initializers (field 5) are
/// added.
inline Proto graphProto() {
  return Proto().string(2, "g").message(11, valueProto("x")).message(12, valueProto("y"));
}

inline Proto modelProto(const Proto &graph, int64_t ir = 8, int64_t opset = 17) {
  return Proto()
      .integer(1, ir)
      .message(8, Proto().string(1, "").integer(2, opset))
      .message(7, graph);
}

} // namespace rapt::onnx::test

#endif // RAPT_TEST_UNIT_ONNX_PROTOWRITER_H

//===- ModelMutator.h - Damages the structure of a model ------------------------*- C++ -*-===//
//
// Where flipped bits rarely get past the reader, these changes keep what the reader guarantees
// (payload sizes, no negative dims) and make the meaning wrong: other operators, attributes,
// element types, shapes, constants and edges, often with the values that overflow something.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_TEST_UNIT_ONNX_MODELMUTATOR_H
#define RAPT_TEST_UNIT_ONNX_MODELMUTATOR_H

#include "frontends/onnx/Model.h"

#include <random>

namespace rapt::onnx::test {

class ModelMutator {
public:
  ModelMutator(Model &model, uint64_t seed) : model(model), random(seed) {}

  /// One change somewhere in the main graph; sometimes none, where the drawn place has nothing to
  /// change.
  void change();

private:
  size_t below(size_t limit) { return limit ? random() % limit : 0; }
  bool chance(size_t oneIn) { return below(oneIn) == 0; }
  template <typename T> T &pick(std::vector<T> &list) { return list[below(list.size())]; }

  int64_t integer();
  float real();
  llvm::StringRef operatorName();
  Graph &anyGraph();
  llvm::StringRef valueName();
  llvm::StringRef freshName();
  Tensor tensor();
  Attribute attribute(llvm::StringRef name);
  void setPayload(Tensor &tensor);
  void changeIntegers(std::vector<int64_t> &values);
  void changeTensor(Tensor &tensor);
  void changeType(ValueInfo &info);
  void changeAttribute(Node &node);
  void changeInputs(Node &node);
  void addNode();
  void removeNode();

  Model &model;
  std::mt19937_64 random;
  size_t fresh = 0;
};

} // namespace rapt::onnx::test

#endif // RAPT_TEST_UNIT_ONNX_MODELMUTATOR_H

//===- RecurrentForm.h - What a recurrent operator is given ------------------------*- C++ -*-===//
//
// Operands and attributes of RNN, GRU and LSTM of every opset, checked, in the layout [steps,
// batch, ...] and in the type that is computed in; their activations as functions.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_RECURRENTFORM_H
#define RAPT_FRONTENDS_ONNX_RECURRENTFORM_H

#include "frontends/onnx/NodeBuilder.h"

namespace rapt::onnx {

/// One activation with its numbers.
struct RecurrentActivation {
  std::string name; ///< in lower case
  double alpha = 0, beta = 0;

  mlir::Value apply(NodeBuilder &b, mlir::Value x) const;
};

struct RecurrentForm;

/// What the loop of one direction works with.
struct Direction {
  const RecurrentForm &form;
  int64_t number;
  mlir::Value projected;                   ///< [T, B, G H], with the biases that can be added
  llvm::SmallVector<mlir::Value> states;   ///< [B, H] each
  mlir::Value weight;                      ///< [H, G H]
  mlir::Value gateWeight, candidateWeight; ///< of a GRU: [H, 2 H] and [H, H]
  mlir::Value resetBias;                   ///< [H]: inside the reset gate; may be null
  mlir::Value peepholes;                   ///< [3 H]; may be null

  /// Activation `which` of this direction, after the clip of its operand.
  mlir::Value activate(NodeBuilder &b, int64_t which, mlir::Value x, bool clipped = true) const;
};

struct RecurrentForm {
  /// Reads the node: X, W, R, B, sequence_lens, initial_h, and for an LSTM initial_c and P.
  RecurrentForm(NodeBuilder &b, int64_t gates, int64_t numStates);

  Direction direction(NodeBuilder &b, int64_t number) const;
  bool isReverse(int64_t number) const { return reverse || number == 1; }

  int64_t gates, numStates, hidden = 0, directions = 1;
  bool reverse = false, batchFirst = false, linearBeforeReset = false, inputForget = false;
  float clip = 0;                                     ///< 0: none
  llvm::SmallVector<RecurrentActivation> activations; ///< of the first direction, then the second
  mlir::Type type, wide;                              ///< of the node, and computed in
  mlir::Value projected;                              ///< [T, B, D G H]
  mlir::Value inside; ///< [T, B, 1]: the step is in the sequence; null when all are

private:
  void readAttributes(NodeBuilder &b);
  void readActivations(NodeBuilder &b);
  void checkShapes(NodeBuilder &b);
  static void fixDims(NodeBuilder &b, mlir::Value &value, llvm::StringRef name,
                      llvm::ArrayRef<int64_t> dims);
  void project(NodeBuilder &b);
  /// Direction `number` of an operand [D, ...], without that dim.
  mlir::Value part(NodeBuilder &b, mlir::Value value, int64_t number) const;

  mlir::Value x, w, r, bias, lengths, peepholes;
  llvm::SmallVector<mlir::Value> initial; ///< [D, B, H]; null: zeros
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_RECURRENTFORM_H

//===- Sequence.h - ONNX sequences while a model is imported -----------------------*- C++ -*-===//
//
// A sequence is no value of the onnx dialect. The importer knows its elements, and the operators
// that read it become operations on those.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_SEQUENCE_H
#define RAPT_FRONTENDS_ONNX_SEQUENCE_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace rapt::onnx {

struct ValueInfo;

struct Sequence {
  /// One element; or, stacked along a dim 0 of their own, as many as that dim says: a loop inserts
  /// one in each iteration.
  struct Run {
    mlir::Value value;
    bool stacked = false;
  };
  llvm::SmallVector<Run> runs;
  /// In the body of a Loop that hands the sequence from one iteration to the next: the body's
  /// input, whose elements can not be read there; `runs` are what comes to them, in this order.
  const ValueInfo *carried = nullptr;
  /// With `carried`: each run is inserted before all elements, else behind them.
  bool atFront = false;

  /// Whether the number of elements is known.
  bool isCounted() const {
    return !carried && llvm::none_of(runs, [](const Run &run) { return run.stacked; });
  }
};

/// What a name in a graph stands for: a value, a sequence, or nothing, which is an omitted operand
/// or what follows from a problem.
struct Named {
  mlir::Value value;
  std::optional<Sequence> sequence;
  /// In the body of a Loop: no value, but the tensor that it makes longer. The Concat that does so,
  /// its only reader, becomes what it puts behind.
  bool grows = false;

  Named() = default;
  Named(mlir::Value value) : value(value) {}
  Named(Sequence sequence) : sequence(std::move(sequence)) {}
  explicit operator bool() const { return value || sequence || grows; }
};

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_SEQUENCE_H

//===- Compose.h - Pieces of the operators that expand into others -----------------*- C++ -*-===//
//
// What the upgrade functions of Versions*.cpp that write an operator as a composition of others
// have in common: dims as tensors, positions along an axis, arithmetic at a wider type, and the
// compositions that several operators contain. All of it works with symbolic dims: shape inference
// follows Shape, Range and the arithmetic on them. Null operands give null results, as in make().
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_COMPOSE_H
#define RAPT_FRONTENDS_ONNX_COMPOSE_H

#include "frontends/onnx/NodeBuilder.h"

namespace rapt::onnx {

// --- Dims ---------------------------------------------------------------------------------------
/// All dims of `x`, i64[rank].
mlir::Value shapeOf(NodeBuilder &b, mlir::Value x);
/// Dims `begin` up to `end`, i64[end - begin].
mlir::Value dimsOf(NodeBuilder &b, mlir::Value x, int64_t begin, int64_t end);
/// Dim `axis` of `x` as i64[1].
mlir::Value dimOf(NodeBuilder &b, mlir::Value x, int64_t axis);
/// The same as a scalar.
mlir::Value scalarDimOf(NodeBuilder &b, mlir::Value x, int64_t axis);
/// i64 vectors one after the other.
mlir::Value joinDims(NodeBuilder &b, mlir::ArrayRef<mlir::Value> parts);
/// Checks lhs == rhs, or lhs <= rhs, before each run; `op` is one that the node has made. For what
/// the node asks of its operands and none of its operations does.
void requireDims(NodeBuilder &b, mlir::Operation *op, const SymbolicExpr &lhs,
                 const SymbolicExpr &rhs, bool equal, const llvm::Twine &what);
/// Says that dim `axis` of operand 0 is not constant, and which option makes it so if there is one.
std::string openDimText(NodeBuilder &b, int64_t axis);
/// `x` in the shape that an i64 vector holds (0 means 0).
mlir::Value reshape(NodeBuilder &b, mlir::Value x, mlir::Value shape);
/// `x` with dims `axis` and `axis` + 1 as one.
mlir::Value mergeDims(NodeBuilder &b, mlir::Value x, int64_t axis);
/// `x` with dim `from` as dim `to`, the others in order.
mlir::Value moveAxis(NodeBuilder &b, mlir::Value x, int64_t from, int64_t to);

// --- Positions ----------------------------------------------------------------------------------
/// Beyond every dim, which no address space holds; sums with positions stay far inside 64 bits.
constexpr int64_t farDistance = int64_t(1) << 48;
/// A distance between positions that says the same, from -farDistance to farDistance.
int64_t clampDistance(int64_t distance);
/// 0, 1, ... up to, not including, `limit`, an i64 scalar; it stands at `axis` of `rank` dims, the
/// others are 1.
mlir::Value iota(NodeBuilder &b, mlir::Value limit, int64_t axis, int64_t rank);
/// A vector whose dim stands at `axis` of `rank` dims.
mlir::Value alongAxis(NodeBuilder &b, mlir::Value vector, int64_t axis, int64_t rank);
/// All axes of `rank` dims but those in `axes`, ascending.
llvm::SmallVector<int64_t> otherAxes(llvm::ArrayRef<int64_t> axes, int64_t rank);

// --- Numbers ------------------------------------------------------------------------------------
mlir::Value scalarInt(NodeBuilder &b, int64_t value);
/// `x` with element type `type`; `x` itself when it has it.
mlir::Value castTo(NodeBuilder &b, mlir::Value x, mlir::Type type);
/// f32 for f16 and bf16, f64 for integers, else the type itself.
mlir::Type wideType(NodeBuilder &b, mlir::Value x);
/// A condition (i1) or a count (i64) of rank 0 or with one element as a scalar; error for others.
mlir::Value scalarOf(NodeBuilder &b, mlir::Value value, mlir::Type type, llvm::StringRef name);
/// "f32", for messages.
std::string typeName(mlir::Type type);
/// Error unless the element type is a float type.
void expectFloat(NodeBuilder &b, mlir::Value x, llvm::StringRef name);

template <typename Op> mlir::Value binary(NodeBuilder &b, mlir::Value x, mlir::Value y) {
  return x && y ? b.make<Op>(x, y) : mlir::Value();
}
template <typename Op> mlir::Value unary(NodeBuilder &b, mlir::Value x) {
  return x ? b.make<Op>(x) : mlir::Value();
}
/// x op number, a scalar of x's type.
template <typename Op> mlir::Value withScalar(NodeBuilder &b, mlir::Value x, double number) {
  return x ? binary<Op>(b, x, b.makeScalar(b.elementType(x), number)) : mlir::Value();
}
template <typename Op>
mlir::Value reduce(NodeBuilder &b, mlir::Value x, llvm::ArrayRef<int64_t> axes,
                   bool keepdims = true) {
  return x ? b.make<Op>(x, axes, keepdims) : mlir::Value();
}
mlir::Value unsqueeze(NodeBuilder &b, mlir::Value x, llvm::ArrayRef<int64_t> axes);
mlir::Value squeeze(NodeBuilder &b, mlir::Value x, llvm::ArrayRef<int64_t> axes);
/// `x` itself when `perm` changes nothing.
mlir::Value transpose(NodeBuilder &b, mlir::Value x, llvm::ArrayRef<int64_t> perm);
mlir::Value where(NodeBuilder &b, mlir::Value condition, mlir::Value x, mlir::Value y);

// --- Sequences ----------------------------------------------------------------------------------
/// Inserts at the front or at the end. Unsupported for both in one iteration of a loop.
void insertRun(NodeBuilder &b, Sequence &sequence, Sequence::Run run, bool atFront);
/// The elements, of one shape, along a new dim 0; there is at least one run of them.
mlir::Value stackElements(NodeBuilder &b, const Sequence &sequence);

// --- Compositions -------------------------------------------------------------------------------
/// log(softmax(x)) along `axis`, in x's type, without overflow.
mlir::Value logSoftmax(NodeBuilder &b, mlir::Value x, int64_t axis);
/// Index, i64, of the first (or last) largest (or smallest) element along `axis`, which stays with
/// size 1; a NaN is taken for the largest and for the smallest.
mlir::Value argExtremum(NodeBuilder &b, mlir::Value x, int64_t axis, bool largest, bool last);

/// The activation that onnxruntime fuses into a Gemm or Conv, by its name; "" is none. Others than
/// Relu, Sigmoid, Tanh, LeakyRelu, HardSigmoid and Clip are unsupported.
mlir::Value fusedActivation(NodeBuilder &b, mlir::Value x, llvm::StringRef name,
                            llvm::ArrayRef<float> parameters);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_COMPOSE_H

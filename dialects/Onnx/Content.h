//===- Content.h - What is known of a tensor's elements ----------------------------*- C++ -*-===//
//
// Small tensors are known element by element: an integer expression over the model's dims, a float
// constant, or unknown. Tensors of any size may be known as an affine function of the index (what
// Range makes, and a constant broadcast to any shape). This is how arithmetic on shapes is
// understood.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_DIALECTS_ONNX_CONTENT_H
#define RAPT_DIALECTS_ONNX_CONTENT_H

#include "dialects/Onnx/SymbolicExpr.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rapt::onnx {

using Shape = llvm::SmallVector<SymbolicExpr, 4>;

/// Product of the dims.
SymbolicExpr numElements(llvm::ArrayRef<SymbolicExpr> shape);
/// The dims when all of them are constants.
std::optional<llvm::SmallVector<int64_t, 4>> staticDims(llvm::ArrayRef<SymbolicExpr> shape);

/// One element. Booleans are the integers 0 and 1; floats are rounded to their element type.
struct Element {
  enum Kind { Unknown, Int, Float } kind = Unknown;
  SymbolicExpr expr;
  double number = 0;

  static Element ofInt(SymbolicExpr expr) {
    return expr.isKnown() ? Element{Int, std::move(expr), 0} : Element{};
  }
  static Element ofFloat(double number) { return {Float, {}, number}; }

  bool isKnown() const { return kind != Unknown; }
  /// Whether the value does not depend on any dim.
  bool isConstant() const { return kind == Float || (kind == Int && expr.constant()); }
  /// Same value, bit for bit.
  friend bool operator==(const Element &a, const Element &b);
};

class Content {
public:
  Content() = default; ///< nothing is known
  /// Row-major elements of a tensor of static shape.
  static Content ofElements(std::vector<Element> elements);
  /// The element at (i0, i1, ...) is base + stride[0] * i0 + stride[1] * i1 + ...; only an integer
  /// base may have strides other than zero.
  static Content affine(Element base, llvm::ArrayRef<SymbolicExpr> strides);
  static Content uniform(Element value, size_t rank);

  bool isKnown() const { return state != nullptr; }
  /// The elements, or empty when they are not listed.
  llvm::ArrayRef<Element> elements() const;
  bool hasElements() const { return state && !state->isAffine; }
  bool isAffine() const { return state && state->isAffine; }
  const Element &base() const { return state->elements.front(); }
  llvm::ArrayRef<SymbolicExpr> strides() const { return state->strides; }

  /// The value of every element, if it is the same known one; else null.
  const Element *uniform() const;
  /// Every element is listed and known.
  bool isComplete() const;
  /// Every element is listed and constant.
  bool isConstant() const;

private:
  struct State {
    std::vector<Element> elements;
    Shape strides;
    bool isAffine = false;
  };
  std::shared_ptr<const State> state;
};

/// The content as an affine function of the index; unknown if it is none. Listed elements (of a
/// tensor of these dims) are tried too: an initialiser may hold 0, 1, 2, ...
Content toAffine(const Content &content, llvm::ArrayRef<int64_t> dims);

/// Calls `visit` with each index of a tensor of dims `dims`, in row-major order.
void forEachIndex(llvm::ArrayRef<int64_t> dims,
                  llvm::function_ref<void(llvm::ArrayRef<int64_t>)> visit);
/// Row-major position of `index`.
int64_t linearIndex(llvm::ArrayRef<int64_t> dims, llvm::ArrayRef<int64_t> index);

/// The nearest value of the float type `type`.
double roundTo(mlir::Type type, double value);
/// The integer wrapped to the width and sign of the integer type `type`; unknown where an
/// expression may not fit (SymbolicExpr::fits).
Element wrapTo(mlir::Type type, const SymbolicExpr &value);

/// The elements of an attribute, at most `limit`; unknown when there are more or its data is
/// missing.
Content readContent(mlir::ElementsAttr attribute, int64_t limit);
/// The opposite. `content.isConstant()` must hold; the type is static and its size that of the
/// content.
mlir::DenseElementsAttr writeContent(const Content &content, mlir::RankedTensorType type);

} // namespace rapt::onnx

#endif // RAPT_DIALECTS_ONNX_CONTENT_H

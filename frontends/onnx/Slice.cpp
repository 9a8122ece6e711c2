//===- Slice.cpp - Part of one dim -----------------------------------------------------------===//

#include "frontends/onnx/Slice.h"

using namespace mlir;

namespace rapt::onnx {

Value slice(NodeBuilder &b, Value x, int64_t axis, Value begin, Value end) {
  return b.stopped() || !x || !begin || !end
             ? Value()
             : b.make<SliceOp>(x, begin, end, ArrayRef<int64_t>{axis}, ArrayRef<int64_t>{1});
}

Value slice(NodeBuilder &b, Value x, int64_t axis, int64_t begin, int64_t end) {
  return slice(b, x, axis, b.makeInts({begin}), b.makeInts({end}));
}

} // namespace rapt::onnx

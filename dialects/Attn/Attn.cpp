//===- Attn.cpp - The attn dialect and its verifier ------------------------------------===//
//
// The verifier checks what the type system cannot: ranks, that dims agree where they must, and that
// bias and mask broadcast to the scores. Dims that are dynamic agree with anything.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Attn/Attn.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;

#include "dialects/Attn/AttnDialect.cpp.inc"
#include "dialects/Attn/AttnEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Attn/AttnAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Attn/AttnOps.cpp.inc"

namespace rapt::attn {

void AttnDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Attn/AttnAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Attn/AttnOps.cpp.inc"
      >();
}

/// Two dims may be equal: a dynamic one may turn out to be anything.
static bool mayEqual(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b;
}

/// What is added to scores of f16 or bf16 may be as wide as their sums.
static bool isTermType(Type term, Type query) {
  return term == query || (term.isF32() && (query.isF16() || query.isBF16()));
}

static LogicalResult verifyBroadcast(SdpaOp op, RankedTensorType type, StringRef name,
                                     ArrayRef<int64_t> score) {
  static constexpr const char *dims[] = {"batch", "heads", "queries", "keys"};
  if (type.getRank() != 4)
    return op.emitOpError() << "expects " << name << " to have rank 4, but it has "
                            << type.getRank();
  for (int i = 0; i < 4; ++i)
    if (type.getDimSize(i) != 1 && !mayEqual(type.getDimSize(i), score[i]))
      return op.emitOpError() << "expects " << name << " dim " << i << " (" << dims[i]
                              << ") to be 1 or " << score[i] << ", but it is "
                              << type.getDimSize(i);
  return success();
}

LogicalResult SdpaOp::verify() {
  auto query = cast<RankedTensorType>(getQuery().getType());
  auto key = cast<RankedTensorType>(getKey().getType());
  auto value = cast<RankedTensorType>(getValue().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());

  // sdpa_c1
  for (auto [type, name] :
       {std::pair(query, "query"), {key, "key"}, {value, "value"}, {output, "result"}}) {
    if (type.getRank() != 4)
      return emitOpError() << "expects " << name << " to have rank 4, but it has "
                           << type.getRank();
    if (!isa<FloatType>(type.getElementType()) || type.getElementType() != query.getElementType())
      return emitOpError() << "expects " << name << " to have the float element type of query ("
                           << query.getElementType() << "), but it has " << type.getElementType();
  }
  // sdpa_c2
  int64_t heads = query.getDimSize(1), kvHeads = key.getDimSize(1);
  if (ShapedType::isDynamic(heads) || ShapedType::isDynamic(kvHeads))
    return emitOpError() << "expects static numbers of heads";
  if (kvHeads == 0 || heads % kvHeads != 0)
    return emitOpError() << "expects query heads (" << heads << ") to be a multiple of kv heads ("
                         << kvHeads << ")";
  // sdpa_c3
  struct Agreement {
    int64_t a, b;
    const char *text;
  };
  for (auto [a, b, text] :
       {Agreement{query.getDimSize(0), key.getDimSize(0), "batch of query and key"},
        {query.getDimSize(3), key.getDimSize(3), "head_dim of query and key"},
        {key.getDimSize(0), value.getDimSize(0), "batch of key and value"},
        {key.getDimSize(1), value.getDimSize(1), "heads of key and value"},
        {key.getDimSize(2), value.getDimSize(2), "length of key and value"}})
    if (!mayEqual(a, b))
      return emitOpError() << "expects the " << text << " to agree, but they are " << a << " and "
                           << b;
  int64_t score[] = {query.getDimSize(0), heads, query.getDimSize(2), key.getDimSize(2)};
  // sdpa_c4
  if (getBias()) {
    auto bias = cast<RankedTensorType>(getBias().getType());
    if (!isTermType(bias.getElementType(), query.getElementType()))
      return emitOpError() << "expects bias to have the element type of query ("
                           << query.getElementType() << ") or the f32 of its sums, but it has "
                           << bias.getElementType();
    if (failed(verifyBroadcast(*this, bias, "bias", score)))
      return failure();
  }
  // sdpa_c5
  if (getMask()) {
    auto mask = cast<RankedTensorType>(getMask().getType());
    if (!mask.getElementType().isInteger(1))
      return emitOpError() << "expects mask to have element type i1, but it has "
                           << mask.getElementType();
    if (failed(verifyBroadcast(*this, mask, "mask", score)))
      return failure();
  }
  // sdpa_c6
  int64_t expected[] = {query.getDimSize(0), heads, query.getDimSize(2), value.getDimSize(3)};
  for (int i = 0; i < 4; ++i)
    if (!mayEqual(output.getDimSize(i), expected[i]))
      return emitOpError() << "expects result dim " << i << " to be " << expected[i]
                           << ", but it is " << output.getDimSize(i);
  // sdpa_c7
  if (!std::isfinite(getScale().convertToDouble()))
    return emitOpError() << "expects a finite scale";
  double softcap = getSoftcap().convertToDouble();
  if (!std::isfinite(softcap) || softcap < 0)
    return emitOpError() << "expects a finite softcap of at least 0, but it is " << softcap;
  // sdpa_c8
  if (getCausalFromEnd() && !getCausalOffset() && !getWindowOffset())
    return emitOpError() << "expects causal_offset or window_offset beside causal_from_end";
  // sdpa_c9
  if (getSink()) {
    auto sink = cast<RankedTensorType>(getSink().getType());
    if (!isTermType(sink.getElementType(), query.getElementType()))
      return emitOpError() << "expects sink to have the element type of query ("
                           << query.getElementType() << ") or the f32 of its sums, but it has "
                           << sink.getElementType();
    if (failed(verifyBroadcast(*this, sink, "sink", score)))
      return failure();
    if (sink.getDimSize(3) != 1)
      return emitOpError() << "expects sink dim 3 to be 1, but it is " << sink.getDimSize(3);
  }
  // sdpa_c10
  if (!ranksHidden(getEmptyRow()))
    return success();
  bool causalMean = getEmptyRow() == EmptyRow::CausalMean;
  bool complete = causalMean ? getCausalOffset() && (getMask() || getWindowOffset())
                             : getMask() && (getCausalOffset() || getWindowOffset());
  if (!complete || getBias() || getSink())
    return emitOpError() << "expects empty_row " << stringifyEmptyRow(getEmptyRow()) << " with "
                         << (causalMean ? "causal_offset and mask or window_offset"
                                        : "mask and causal_offset or window_offset")
                         << ", without bias and sink";
  return success();
}

} // namespace rapt::attn

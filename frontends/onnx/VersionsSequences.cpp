//===- VersionsSequences.cpp - Operators of sequences ----------------------------------------===//
//
// They make no operations where elements are known one by one. What a loop inserts is a tensor with
// the elements along dim 0, so positions that are known only when the model runs, lengths and
// ConcatFromSequence are operations on that.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// Operand 0; unsupported where its first elements are not known.
Sequence wholeSequence(NodeBuilder &b) {
  Sequence sequence = b.sequence(0);
  if (sequence.carried)
    b.unsupported("it reads a sequence in the body of the loop that inserts into it");
  return sequence;
}

/// The constant position, operand `i`, counted from 0: an element of a sequence of `count`, or its
/// end with `orEnd`.
size_t positionOf(NodeBuilder &b, size_t i, size_t count, bool orEnd = false) {
  int64_t position = b.constant(i, "position"), size = static_cast<int64_t>(count);
  if (!b.stopped() && (position < -size || position >= size + (orEnd ? 1 : 0)))
    b.error("input 'position' is " + Twine(position) + ", expected " + Twine(-size) + " to " +
            Twine(orEnd ? size : size - 1) + " for a sequence of " + Twine(size));
  return b.stopped() ? 0 : position < 0 ? position + size : position;
}

void upgradeSequenceConstruct(NodeBuilder &b) {
  Sequence sequence;
  for (Value element : b.allInputs())
    sequence.runs.push_back({element});
  if (!b.stopped())
    b.out(0, sequence);
}

void upgradeSequenceEmpty(NodeBuilder &b) {
  b.ignoreAttr("dtype"); // that of the elements that are inserted
  b.out(0, Sequence());
}

/// At the end without a position.
void upgradeSequenceInsert(NodeBuilder &b) {
  Sequence sequence = b.sequence(0);
  Sequence::Run element{b.in(1)};
  Value position = b.optional(2);
  if (b.stopped())
    return;
  bool isFirst = position && b.expression(position).is(0);
  if (!position || isFirst) {
    insertRun(b, sequence, element, isFirst);
  } else if (!sequence.isCounted()) {
    b.unsupported("a loop inserts into the sequence, and the position is neither 0 nor left out");
  } else {
    size_t at = positionOf(b, 2, sequence.runs.size(), /*orEnd=*/true);
    if (!b.stopped())
      sequence.runs.insert(sequence.runs.begin() + at, element);
  }
  if (!b.stopped())
    b.out(0, sequence);
}

/// The last element without a position.
void upgradeSequenceErase(NodeBuilder &b) {
  Sequence sequence = b.sequence(0);
  if (!b.stopped() && !sequence.isCounted())
    return b.unsupported("a loop inserts into the sequence");
  if (!b.stopped() && sequence.runs.empty())
    return b.error("input 0 is a sequence of 0, expected at least one element");
  size_t position = b.optional(1) ? positionOf(b, 1, sequence.runs.size())
                                  : std::max<size_t>(sequence.runs.size(), 1) - 1;
  if (b.stopped())
    return;
  sequence.runs.erase(sequence.runs.begin() + position);
  b.out(0, sequence);
}

void upgradeSequenceLength(NodeBuilder &b) {
  Value length = scalarInt(b, 0);
  for (const Sequence::Run &run : wholeSequence(b).runs)
    length = binary<AddOp>(b, length, run.stacked ? scalarDimOf(b, run.value, 0) : scalarInt(b, 1));
  b.out(0, length);
}

void upgradeSequenceAt(NodeBuilder &b) {
  Sequence sequence = wholeSequence(b);
  Value position = b.in(1);
  if (b.stopped())
    return;
  if (sequence.isCounted() && b.isConstant(position)) {
    size_t known = positionOf(b, 1, sequence.runs.size());
    return b.out(0, b.stopped() ? Value() : sequence.runs[known].value);
  }
  if (sequence.runs.empty())
    return b.error("input 0 is a sequence of 0, expected at least one element");
  if (b.rank(position) > 1)
    return b.error("input 'position' has rank " + Twine(b.rank(position)) + ", expected 0");
  if (b.rank(position) == 1)
    position = squeeze(b, position, {0});
  b.out(0, b.stopped() ? Value() : b.make<GatherOp>(stackElements(b, sequence), position, 0));
}

void upgradeConcatFromSequence(NodeBuilder &b) {
  Sequence sequence = wholeSequence(b);
  bool newAxis = b.flagAttr("new_axis", false);
  int64_t axis = b.requiredInt("axis");
  if (!b.stopped() && sequence.runs.empty())
    return b.error("input 0 is a sequence of 0, expected at least one element");
  SmallVector<Value> parts;
  int64_t place = 0; // of the axis in all of them, or the Concat is wrong
  for (const Sequence::Run &run : sequence.runs) {
    if (b.stopped())
      return;
    int64_t rank = b.rank(run.value) - run.stacked;
    place = b.normalized(axis, newAxis ? rank + 1 : rank);
    if (!run.stacked) {
      parts.push_back(newAxis ? unsqueeze(b, run.value, {place}) : run.value);
      continue;
    }
    Value moved = moveAxis(b, run.value, 0, place);
    parts.push_back(newAxis ? moved : mergeDims(b, moved, place));
  }
  if (!b.stopped())
    b.out(0, parts.size() == 1 ? parts.front() : b.make<ConcatOp>(parts, place));
}

/// The elements along `axis` of `x`, whose number is open, as the parts.
Sequence singleParts(NodeBuilder &b, Value x, int64_t axis, bool keepDims) {
  Value stacked = moveAxis(b, x, axis, 0);
  Sequence sequence;
  sequence.runs.push_back(
      {keepDims ? unsqueeze(b, stacked, {axis + 1}) : stacked, /*stacked=*/true});
  return sequence;
}

/// Without `split` every part has size 1; a scalar is the size of every part but the last, and a
/// vector holds all sizes. ONNX ignores keepdims where there is a `split`; TorchScript writes
/// x.unbind() with both, the scalar 1, and onnxruntime drops the dim then.
void upgradeSplitToSequence(NodeBuilder &b) {
  constexpr int64_t maxParts = 1024;
  Value x = b.in(0);
  int64_t axis = b.normalized(b.intAttr("axis", 0), b.rank(x));
  SmallVector<int64_t> sizes = b.optional(1) ? b.constants(1, "split") : SmallVector<int64_t>{1};
  if (b.stopped())
    return;
  bool isVector = b.optional(1) && b.rank(b.optional(1)) == 1;
  bool keepDims = b.flagAttr("keepdims", true) || isVector || sizes.front() != 1;
  if (!isVector) {
    int64_t total = cast<RankedTensorType>(x.getType()).getDimSize(axis), size = sizes.front();
    if (size < 1)
      return b.error("input 'split' is " + Twine(size) + ", expected at least 1");
    if (size == 1 && (ShapedType::isDynamic(total) || total > maxParts))
      return b.out(0, singleParts(b, x, axis, keepDims));
    if (ShapedType::isDynamic(total))
      return b.unsupported("it splits a dim: " + openDimText(b, axis));
    if (total < 1 || (total - 1) / size >= maxParts)
      return b.unsupported("the dim that is split has size " + Twine(total) + ", expected 1 to " +
                           Twine(maxParts) + " parts");
    int64_t full = total / size;
    sizes.assign(full, size);
    if (total % size)
      sizes.push_back(total % size);
  }
  if (sizes.empty() || sizes.size() > maxParts)
    return b.unsupported("it makes " + Twine(sizes.size()) + " parts, expected 1 to " +
                         Twine(maxParts));
  SmallVector<Type> types(sizes.size(), UnrankedTensorType::get(b.elementType(x)));
  auto split =
      SplitOp::create(b.ops(), b.location(), types, x, axis, b.ops().getDenseI64ArrayAttr(sizes));
  if (!b.finish(split))
    return;
  Sequence parts;
  for (Value part : split.getResults())
    parts.runs.push_back({keepDims ? part : squeeze(b, part, {axis})});
  if (!b.stopped())
    b.out(0, parts);
}

} // namespace

void addSequences(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral all = "float, int, bool";
  table.insert(
      table.end(),
      {
          {"ConcatFromSequence", 11, all, "", upgradeConcatFromSequence},
          {"SequenceAt", 11, all, "", upgradeSequenceAt},
          {"SequenceConstruct", 11, all, "", upgradeSequenceConstruct},
          {"SequenceEmpty", 11, all, "", upgradeSequenceEmpty},
          {"SequenceErase", 11, all, "the position must be constant, and no loop inserts before",
           upgradeSequenceErase},
          {"SequenceInsert", 11, all,
           "elsewhere than at the end or front: the position must be constant, and no loop "
           "inserts before",
           upgradeSequenceInsert},
          {"SequenceLength", 11, all, "", upgradeSequenceLength},
          {"SplitToSequence", 11, all,
           "parts of more than one element: sizes and the dim must be constant, at most 1024; "
           "keepdims = 0 counts beside a scalar split of 1, too, as in onnxruntime",
           upgradeSplitToSequence},
      });
}

} // namespace rapt::onnx

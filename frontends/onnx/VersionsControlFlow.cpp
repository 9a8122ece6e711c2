//===- VersionsControlFlow.cpp - If and Scan -------------------------------------------------===//
//
// Scan becomes onnx.Loop. An If with a known condition is its branch; else both branches are
// computed and Where picks: they have no effects but to ask of dims and indices what they ask.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/LoopBuilder.h"
#include "frontends/onnx/Versions.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
// --- If ------------------------------------------------------------------------------------------
/// Whether both values have one type and, for all that is known, one shape.
bool areAlike(NodeBuilder &b, Value x, Value y) {
  Shape left = b.analysis().shapeOf(x), right = b.analysis().shapeOf(y);
  if (b.elementType(x) != b.elementType(y) || left.size() != right.size())
    return false;
  for (auto [one, other] : llvm::zip_equal(left, right))
    if (one != other && (one.is(1) || other.is(1) || one.hasMeasured() || other.hasMeasured() ||
                         SymbolicExpr::provablyDifferent(one, other)))
      return false;
  return true;
}

/// A loop runs as long as its data say, which may be for ever where its branch is not taken: then
/// it does not begin.
void beginWhere(NodeBuilder &b, Value isTaken, LoopOp loop) {
  Value count = loop.getCount(), goesOn = loop.getCondition();
  if (goesOn)
    loop.getConditionMutable().assign(binary<AndOp>(b, isTaken, goesOn));
  if (count && !b.analysis().scalar(count).isKnown())
    loop.getCountMutable().assign(where(b, isTaken, count, scalarInt(b, 0)));
}

/// Indices that data give may lie outside where the branch is not taken: then they are 0.
void indexWhere(NodeBuilder &b, Value isTaken, OpOperand &indices) {
  Value given = indices.get();
  const Content &known = b.analysis().content(given);
  if (!known.isComplete() && !known.isAffine())
    indices.set(where(b, isTaken, given, b.makeScalar(b.elementType(given), 0)));
}

/// Imports a branch, taken where the condition is `when`, that is computed anyway.
SmallVector<Value> importBranch(NodeBuilder &b, const Graph &branch, Value condition, bool when) {
  OpBuilder &ops = b.ops();
  Block *block = ops.getInsertionBlock();
  bool isFirst = block->begin() == ops.getInsertionPoint();
  Block::iterator before = isFirst ? block->end() : std::prev(ops.getInsertionPoint());
  SmallVector<Value> results = b.importGraph(branch, {});
  if (b.stopped())
    return results;
  SmallVector<Operation *> guarded;
  Block::iterator begin = isFirst ? block->begin() : std::next(before);
  for (Operation &op : llvm::make_range(begin, ops.getInsertionPoint()))
    op.walk([&](Operation *inner) {
      if (isa<LoopOp, GatherOp, GatherElementsOp, GatherNDOp, ScatterElementsOp, ScatterNDOp>(
              inner))
        guarded.push_back(inner);
    });
  if (guarded.empty())
    return results;
  OpBuilder::InsertionGuard guard(ops);
  ops.setInsertionPoint(block, begin);
  Value isTaken = when ? condition : unary<NotOp>(b, condition);
  for (Operation *op : guarded) {
    ops.setInsertionPoint(op);
    TypeSwitch<Operation *>(op)
        .Case([&](LoopOp loop) { beginWhere(b, isTaken, loop); })
        .Case<GatherOp, GatherElementsOp, GatherNDOp, ScatterElementsOp, ScatterNDOp>(
            [&](auto indexing) { indexWhere(b, isTaken, indexing.getIndicesMutable()); });
  }
  return results;
}

void upgradeIf(NodeBuilder &b) {
  Value condition = scalarOf(b, b.in(0), b.ops().getI1Type(), "cond");
  const Graph *then = b.graphAttr("then_branch"), *otherwise = b.graphAttr("else_branch");
  if (b.stopped())
    return;
  for (const Graph *branch : {then, otherwise})
    if (branch->outputs.size() < b.numOutputs())
      return b.error("graph " + quoted(branch->name) + " has " + Twine(branch->outputs.size()) +
                     " outputs, expected " + Twine(b.numOutputs()));
  if (std::optional<double> known = b.number(condition)) {
    SmallVector<Named> results = b.importNamed(*known != 0 ? *then : *otherwise, {});
    for (size_t i = 0; i < b.numOutputs(); ++i)
      b.out(i, results[i]);
    return;
  }
  SmallVector<Value> whenTrue = importBranch(b, *then, condition, true),
                     whenFalse = importBranch(b, *otherwise, condition, false);
  for (size_t i = 0; i < b.numOutputs() && !b.stopped(); ++i) {
    if (!areAlike(b, whenTrue[i], whenFalse[i]))
      return b.unsupported("the condition is known only when the model runs, and output " +
                           Twine(i) + " is " + typeText(b.analysis(), whenTrue[i]) +
                           " in one branch and " + typeText(b.analysis(), whenFalse[i]) +
                           " in the other; a condition that is an input is fixed by raptc --set");
    b.out(i, where(b, condition, whenTrue[i], whenFalse[i]));
  }
}

// --- Scan ----------------------------------------------------------------------------------------
/// What the attributes of a Scan say, one number an operand or result.
struct ScanForm {
  const Graph *body = nullptr;
  int64_t states = 0;
  SmallVector<bool> inputReverse, outputReverse;
  SmallVector<int64_t> inputAxes, outputAxes;
};

SmallVector<int64_t> listAttr(NodeBuilder &b, StringRef name, size_t size) {
  SmallVector<int64_t> given = b.intsAttr(name).value_or(SmallVector<int64_t>(size, 0));
  if (given.size() != size && !b.stopped())
    b.error("attribute '" + name + "' has " + Twine(given.size()) + " elements, expected " +
            Twine(size));
  given.resize(size);
  return given;
}

SmallVector<bool> directions(NodeBuilder &b, StringRef name, size_t size) {
  SmallVector<bool> result;
  for (int64_t direction : listAttr(b, name, size)) {
    if (direction != 0 && direction != 1)
      b.error("attribute '" + name + "' has an element " + Twine(direction) + ", expected 0 or 1");
    result.push_back(direction == 1);
  }
  return result;
}

/// `first` is the number of the first state among the inputs.
ScanForm scanForm(NodeBuilder &b, size_t first) {
  ScanForm form;
  form.body = b.graphAttr("body");
  int64_t scanned = b.requiredInt("num_scan_inputs");
  int64_t inputs = static_cast<int64_t>(b.numInputs() - std::min(first, b.numInputs()));
  if (b.stopped())
    return form;
  if (scanned < 1 || scanned > inputs) {
    b.error("attribute 'num_scan_inputs' is " + Twine(scanned) + ", expected 1 to " +
            Twine(inputs));
    return form;
  }
  form.states = inputs - scanned;
  auto outputs = static_cast<int64_t>(form.body->outputs.size());
  if (static_cast<int64_t>(form.body->inputs.size()) != inputs || outputs < form.states) {
    b.error("attribute 'body' has " + Twine(form.body->inputs.size()) + " inputs and " +
            Twine(outputs) + " outputs, expected " + Twine(inputs) + " and at least " +
            Twine(form.states));
    return form;
  }
  size_t stacked = outputs - form.states;
  if (b.opset() < 9) {
    form.inputReverse = directions(b, "directions", scanned);
    form.outputReverse.assign(stacked, false);
  } else {
    form.inputReverse = directions(b, "scan_input_directions", scanned);
    form.outputReverse = directions(b, "scan_output_directions", stacked);
    form.inputAxes = listAttr(b, "scan_input_axes", scanned);
    form.outputAxes = listAttr(b, "scan_output_axes", stacked);
  }
  return form;
}

LoopStep scanStep(NodeBuilder &b, const ScanForm &form, ValueRange states, ValueRange slices) {
  SmallVector<Value> inputs(states);
  llvm::append_range(inputs, slices);
  SmallVector<Value> outputs = b.importGraph(*form.body, inputs);
  return {Value(), SmallVector<Value>(ArrayRef(outputs).take_front(form.states)),
          SmallVector<Value>(ArrayRef(outputs).drop_front(form.states))};
}

/// Opset 8: dim 0 of everything is a batch, dim 1 of the scanned operands is scanned. So this is a
/// loop over the batch around the loop; steps from the length of a sequence on keep the states and
/// give zeros.
void upgradeBatchedScan(NodeBuilder &b) {
  Value lengths = b.optional(0);
  ScanForm form = scanForm(b, 1);
  LoopInputs batch;
  for (size_t i = 1; i < b.numInputs(); ++i)
    batch.scanned.push_back(b.in(i));
  if (b.stopped())
    return;
  if (lengths && llvm::is_contained(form.inputReverse, true))
    return b.unsupported("input 'sequence_lens' with a reverse direction");
  size_t operands = batch.scanned.size();
  for (size_t i = form.states; i < operands; ++i)
    if (b.rank(batch.scanned[i]) < 2)
      return b.error("input " + Twine(1 + i) + " has rank " + Twine(b.rank(batch.scanned[i])) +
                     ", expected at least 2");
  if (lengths)
    batch.scanned.push_back(lengths);
  batch.scannedReverse.assign(batch.scanned.size(), false);
  batch.stackedReverse.assign(form.body->outputs.size(), false);
  SmallVector<Value> results =
      makeLoop(b, batch, [&](Value, ValueRange, ValueRange elements) -> LoopStep {
        LoopInputs sequence;
        sequence.states.assign(elements.begin(), elements.begin() + form.states);
        sequence.scanned.assign(elements.begin() + form.states, elements.begin() + operands);
        sequence.scannedReverse = form.inputReverse;
        sequence.stackedReverse = form.outputReverse;
        SmallVector<Value> outputs = makeLoop(
            b, sequence, [&](Value iteration, ValueRange states, ValueRange slices) -> LoopStep {
              LoopStep step = scanStep(b, form, states, slices);
              if (!lengths)
                return step;
              Value inside = binary<LessOp>(b, iteration, elements.back());
              for (auto [next, state] : llvm::zip_equal(step.states, states))
                next = where(b, inside, next, state);
              for (Value &element : step.stacked)
                if (element)
                  element = where(b, inside, element, b.makeScalar(b.elementType(element), 0));
              return step;
            });
        return {Value(), {}, outputs};
      });
  for (auto [i, result] : llvm::enumerate(results))
    b.out(i, result);
}

void upgradeScan(NodeBuilder &b) {
  if (b.opset() < 9)
    return upgradeBatchedScan(b);
  ScanForm form = scanForm(b, 0);
  LoopInputs loop;
  for (size_t i = 0; i < b.numInputs() && !b.stopped(); ++i) {
    Value input = b.in(i);
    if (static_cast<int64_t>(i) < form.states) {
      loop.states.push_back(input);
      continue;
    }
    int64_t axis = b.normalized(form.inputAxes[i - form.states], b.rank(input),
                                "scan_input_axes[" + std::to_string(i - form.states) + "]");
    loop.scanned.push_back(moveAxis(b, input, axis, 0));
  }
  loop.scannedReverse = form.inputReverse;
  loop.stackedReverse = form.outputReverse;
  SmallVector<Value> results =
      makeLoop(b, loop, [&](Value, ValueRange states, ValueRange slices) -> LoopStep {
        return scanStep(b, form, states, slices);
      });
  for (auto [i, result] : llvm::enumerate(results)) {
    int64_t number = static_cast<int64_t>(i) - form.states;
    if (number >= 0)
      result = moveAxis(b, result, 0,
                        b.normalized(form.outputAxes[number], b.rank(result),
                                     "scan_output_axes[" + std::to_string(number) + "]"));
    b.out(i, result);
  }
}
} // namespace

void addControlFlow(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral all = "float, int, bool";
  table.insert(
      table.end(),
      {
          {"If", 7, all,
           "condition known, or branches of equal types and shapes, which are both computed",
           upgradeIf},
          {"Scan", 8, all, "states keep their shapes; 8: no sequence_lens with a reverse direction",
           upgradeScan},
      });
}

} // namespace rapt::onnx

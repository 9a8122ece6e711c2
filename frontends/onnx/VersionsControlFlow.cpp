//===- VersionsControlFlow.cpp - If, Loop and Scan -------------------------------------------===//
//
// Scan and Loop become onnx.Loop, a short Loop of constant length its iterations one after the
// other. An If with a known condition is its branch; else both branches are computed and Where
// picks: they have no effects but to ask of dims and indices what they ask.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/LoopBuilder.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// A condition or a count as a scalar: files have it with rank 0 or with one element.
Value scalarOf(NodeBuilder &b, Value value, Type type, StringRef name) {
  if (b.stopped() || !value)
    return {};
  bool oneElement =
      b.rank(value) == 0 || (b.rank(value) == 1 && b.analysis().shape(value).front().is(1));
  if (!oneElement || b.elementType(value) != type) {
    std::string text;
    llvm::raw_string_ostream(text) << value.getType();
    b.error("'" + name + "' has type " + text + ", expected one " +
            (type.isInteger(1) ? "bool" : "int64"));
    return {};
  }
  return b.rank(value) == 1 ? squeeze(b, value, {0}) : value;
}

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
  SmallVector<Value> whenTrue = b.importGraph(*then, {}), whenFalse = b.importGraph(*otherwise, {});
  for (size_t i = 0; i < b.numOutputs() && !b.stopped(); ++i) {
    if (!areAlike(b, whenTrue[i], whenFalse[i]))
      return b.unsupported("the condition is known only when the model runs, and output " +
                           Twine(i) + " is " + typeText(b.analysis(), whenTrue[i]) +
                           " in one branch and " + typeText(b.analysis(), whenFalse[i]) +
                           " in the other; a condition that is an input is fixed by raptc --set");
    b.out(i, where(b, condition, whenTrue[i], whenFalse[i]));
  }
}

// --- Loop ----------------------------------------------------------------------------------------
/// At most this many nodes come from running a loop when compiling.
constexpr int64_t maxUnrolledNodes = 64;

/// Whether the body hands its condition through, or says true itself.
bool goesOn(const Graph &body) {
  StringRef name = body.outputs.front().name;
  for (const Node &node : llvm::reverse(body.nodes)) {
    if (!llvm::is_contained(node.outputs, name))
      continue;
    if (node.opType == "Identity" && node.domain.empty() && !node.inputs.empty()) {
      name = node.inputs.front();
      continue;
    }
    const Attribute *value = node.opType == "Constant" ? node.find("value") : nullptr;
    return value && value->type == AttributeType::Tensor && !value->t().bytes.empty() &&
           llvm::all_of(value->t().bytes, [](uint8_t byte) { return byte != 0; });
  }
  return name == body.inputs[1].name;
}

bool isUnrolled(NodeBuilder &b, const Graph &body, Value count, Value condition) {
  std::optional<double> trips = count ? b.number(count) : std::nullopt;
  std::optional<double> holds = condition ? b.number(condition) : 1.0;
  bool flat = llvm::none_of(body.nodes, [](const Node &node) {
    return llvm::any_of(node.attributes, [](const Attribute &a) { return !a.graphs.empty(); });
  });
  return trips && *trips >= 1 && holds && *holds != 0 && flat && goesOn(body) &&
         *trips * std::max<size_t>(body.nodes.size(), 1) <= maxUnrolledNodes;
}

/// The body's outputs from `first` on, which are tensors.
SmallVector<Value> tensors(NodeBuilder &b, const Graph &body, ArrayRef<Named> outputs,
                           size_t first) {
  SmallVector<Value> values;
  for (size_t i = first; i < outputs.size(); ++i) {
    if (outputs[i].sequence)
      b.error("output " + Twine(i) + " of graph " + quoted(body.name) +
              " is a sequence, expected a tensor");
    values.push_back(outputs[i].value);
  }
  return values;
}

/// Error unless the body gives sequences where it takes sequences.
void checkCarried(NodeBuilder &b, const Graph &body, ArrayRef<Named> carried,
                  ArrayRef<Named> outputs) {
  for (auto [i, named] : llvm::enumerate(carried))
    if (!b.stopped() && named.sequence.has_value() != outputs[1 + i].sequence.has_value())
      b.error("output " + Twine(1 + i) + " of graph " + quoted(body.name) + " is " +
              (named.sequence ? "a tensor, expected a sequence" : "a sequence, expected a tensor") +
              " as input " + Twine(2 + i));
}

void unrollLoop(NodeBuilder &b, const Graph &body, Value count, SmallVector<Named> carried) {
  auto trips = static_cast<int64_t>(*b.number(count));
  SmallVector<SmallVector<Value>> stacked(body.outputs.size() - 1 - carried.size());
  for (int64_t i = 0; i < trips && !b.stopped(); ++i) {
    SmallVector<Named> inputs{scalarInt(b, i), b.makeScalar(b.ops().getI1Type(), 1)};
    llvm::append_range(inputs, carried);
    SmallVector<Named> outputs = b.importNamed(body, inputs);
    checkCarried(b, body, carried, outputs);
    SmallVector<Value> slices = tensors(b, body, outputs, 1 + carried.size());
    for (auto [j, named] : llvm::enumerate(carried))
      named = outputs[1 + j];
    for (auto [elements, slice] : llvm::zip_equal(stacked, slices))
      elements.push_back(unsqueeze(b, slice, {0}));
  }
  if (b.stopped())
    return;
  for (auto [i, named] : llvm::enumerate(carried))
    b.out(i, named);
  for (auto [i, elements] : llvm::enumerate(stacked))
    b.out(carried.size() + i,
          elements.size() == 1 ? elements.front() : b.make<ConcatOp>(elements, 0));
}

/// What an iteration inserts into the sequence that it gets as `front`: one element, or with
/// `several` a stack of them.
Value insertedBy(NodeBuilder &b, const Sequence &sequence, const ValueInfo &front, bool &several) {
  if (b.stopped())
    return {};
  if (sequence.front != &front || sequence.runs.empty()) {
    b.unsupported("the body does other things with the sequence " + quoted(front.name) +
                  " than to insert at its end");
    return {};
  }
  several = sequence.runs.size() > 1 || sequence.runs.front().stacked;
  return several ? stackElements(b, sequence) : sequence.runs.front().value;
}

/// The body has (iteration, condition, carried...) -> (condition, carried..., stacked...). What it
/// inserts into a sequence that it carries is stacked, too.
void upgradeLoop(NodeBuilder &b) {
  OpBuilder &ops = b.ops();
  const Graph *body = b.graphAttr("body");
  LoopInputs loop;
  loop.count = scalarOf(b, b.optional(0), ops.getI64Type(), "M");
  loop.condition = scalarOf(b, b.optional(1), ops.getI1Type(), "cond");
  SmallVector<Named> carried;
  for (size_t i = 2; i < b.numInputs(); ++i) {
    carried.push_back(b.isSequence(i) ? Named(b.sequence(i)) : Named(b.in(i)));
    if (!carried.back().sequence)
      loop.states.push_back(carried.back().value);
  }
  if (b.stopped())
    return;
  if (body->inputs.size() != 2 + carried.size() || body->outputs.size() < 1 + carried.size())
    return b.error("attribute 'body' has " + Twine(body->inputs.size()) + " inputs and " +
                   Twine(body->outputs.size()) + " outputs, expected " + Twine(2 + carried.size()) +
                   " and at least " + Twine(1 + carried.size()));
  if (isUnrolled(b, *body, loop.count, loop.condition))
    return unrollLoop(b, *body, loop.count, carried);
  size_t slices = body->outputs.size() - 1 - carried.size();
  size_t sequences = carried.size() - loop.states.size();
  auto isSequence = [](const Named &named) { return named.sequence.has_value(); };
  // The first output that has as many elements as there are iterations.
  size_t counted = llvm::find_if(carried, isSequence) - carried.begin();
  bool isCounted = slices + sequences > 0;
  bool known = !loop.count || b.analysis().scalar(loop.count).isKnown();
  if (isCounted && !known)
    return b.unsupported("output " + Twine(counted) +
                         " has as many elements as the loop has iterations, which is known only "
                         "when the model runs; a count that is an input is fixed by raptc --set");
  // A condition that is false from the start is a count of 0.
  if (std::optional<double> holds = loop.condition ? b.number(loop.condition) : 1.0;
      holds && *holds == 0) {
    loop.count = scalarInt(b, 0);
    loop.condition = {};
  }
  loop.stackedReverse.assign(slices + sequences, false);
  bool endless = !loop.count && !loop.condition;
  SmallVector<bool> several(carried.size(), false);
  SmallVector<Value> results =
      makeLoop(b, loop, [&](Value iteration, ValueRange current, ValueRange) -> LoopStep {
        // The body runs only where its condition holds.
        SmallVector<Named> inputs{iteration, b.makeScalar(ops.getI1Type(), 1)};
        for (auto [i, named] : llvm::enumerate(carried)) {
          if (named.sequence) {
            Sequence inside;
            inside.front = &body->inputs[2 + i];
            inputs.emplace_back(inside);
          } else {
            inputs.emplace_back(current.front());
            current = current.drop_front();
          }
        }
        SmallVector<Named> outputs = b.importNamed(*body, inputs);
        checkCarried(b, *body, carried, outputs);
        LoopStep step;
        step.condition = scalarOf(b, outputs.front().value, ops.getI1Type(), "cond");
        step.stacked = tensors(b, *body, outputs, 1 + carried.size());
        for (auto [i, named] : llvm::enumerate(carried)) {
          const Named &output = outputs[1 + i];
          if (!named.sequence)
            step.states.push_back(output.value);
          else if (!b.stopped())
            step.stacked.push_back(
                insertedBy(b, *output.sequence, body->inputs[2 + i], several[i]));
        }
        std::optional<double> fixed = step.condition ? b.number(step.condition) : std::nullopt;
        bool goesOn = fixed && *fixed != 0;
        if (!b.stopped() && goesOn && endless)
          b.error("has no trip count, and its condition is always true");
        if (isCounted && !goesOn)
          b.unsupported("output " + Twine(counted) +
                        " has as many elements as the loop has iterations, which the condition "
                        "says only when the model runs");
        return step;
      });
  if (b.stopped())
    return;
  ArrayRef<Value> states = ArrayRef(results).take_front(loop.states.size());
  ArrayRef<Value> stacked = ArrayRef(results).drop_front(loop.states.size());
  ArrayRef<Value> inserted = stacked.drop_front(slices);
  for (auto [i, named] : llvm::enumerate(carried)) {
    if (!named.sequence) {
      b.out(i, states.front());
      states = states.drop_front();
      continue;
    }
    Sequence grown = *named.sequence;
    grown.runs.push_back(
        {several[i] ? mergeDims(b, inserted.front(), 0) : inserted.front(), /*stacked=*/true});
    inserted = inserted.drop_front();
    b.out(i, grown);
  }
  for (auto [i, slice] : llvm::enumerate(stacked.take_front(slices)))
    b.out(carried.size() + i, slice);
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
    int64_t axis = b.normalized(form.inputAxes[i - form.states], b.rank(input));
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
      result = moveAxis(b, result, 0, b.normalized(form.outputAxes[number], b.rank(result)));
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
          {"Loop", 7, all,
           "states keep their shapes; sequences grow at their end; they and stacked outputs need "
           "a trip count that follows from constants and input dims",
           upgradeLoop},
          {"Scan", 8, all, "states keep their shapes; 8: no sequence_lens with a reverse direction",
           upgradeScan},
      });
}

} // namespace rapt::onnx

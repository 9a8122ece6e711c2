//===- VersionsLoop.cpp - Loop ---------------------------------------------------------------===//
//
// A Loop becomes onnx.Loop, a short one of constant length its iterations one after the other. A
// state keeps its shape there. What only grows, a sequence or a tensor, is no state: what
// iterations add to it becomes one more stacked result.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/LoopBuilder.h"
#include "frontends/onnx/Versions.h"

#include <cmath>

using namespace mlir;

namespace rapt::onnx {

namespace {
/// At most this many nodes come from running a loop when compiling.
constexpr int64_t maxUnrolledNodes = 64;

/// What the names in the body of a loop stand for. Made once: bodies may be long, and so may chains
/// of Identity nodes that hand on every state.
class BodyNames {
public:
  explicit BodyNames(const Graph &body);

  /// The node that computes output `i`, before Identity nodes hand it on; null for an input or a
  /// value from outside.
  const Node *producerOf(size_t i) const { return producers.lookup(sourceOf(i)); }
  /// What output `i` is called there.
  StringRef sourceOf(size_t i) const { return names.lookup(body.outputs[i].name).source; }
  /// Whether nothing but the next Identity node, or the output, reads it under any of its names.
  bool isReadOnce(size_t i) const { return names.lookup(body.outputs[i].name).readOnce; }
  bool isReadOnce(StringRef name) const { return reads.lookup(name) == 1; }

private:
  struct Name {
    StringRef source;
    bool readOnce = false;
  };
  void countReads(const Graph &graph);
  Name nameOf(StringRef name) const;

  const Graph &body;
  llvm::StringMap<const Node *> producers;
  llvm::StringMap<size_t> reads; ///< by nodes, by the graphs inside of them, and as an output
  llvm::StringMap<Name> names;   ///< of what nodes of the body compute, and of its outputs
};

BodyNames::BodyNames(const Graph &body) : body(body) {
  countReads(body);
  for (const Node &node : body.nodes) {
    bool handsOn = node.opType == "Identity" && node.domain.empty() && !node.inputs.empty();
    for (StringRef output : node.outputs) {
      producers[output] = &node;
      names[output] = {output, isReadOnce(output)};
    }
    if (!handsOn || node.outputs.empty())
      continue;
    Name before = nameOf(node.inputs.front());
    Name &after = names[node.outputs.front()];
    after = {before.source, after.readOnce && before.readOnce};
  }
  for (const ValueInfo &output : body.outputs)
    names.try_emplace(output.name, nameOf(output.name));
}

BodyNames::Name BodyNames::nameOf(StringRef name) const {
  auto found = names.find(name);
  return found == names.end() ? Name{name, isReadOnce(name)} : found->second;
}

void BodyNames::countReads(const Graph &graph) {
  for (const ValueInfo &output : graph.outputs)
    ++reads[output.name];
  for (const Node &node : graph.nodes) {
    for (StringRef input : node.inputs)
      ++reads[input];
    for (const Attribute &attribute : node.attributes)
      for (const Graph &inner : attribute.graphs)
        countReads(inner);
  }
}

/// Whether the body hands its condition through, or says true itself.
bool goesOn(const Graph &body, const BodyNames &names) {
  const Node *node = names.producerOf(0);
  if (!node)
    return names.sourceOf(0) == body.inputs[1].name;
  const Attribute *value = node->opType == "Constant" ? node->find("value") : nullptr;
  return value && value->type == AttributeType::Tensor && !value->t().bytes.empty() &&
         llvm::all_of(value->t().bytes, [](uint8_t byte) { return byte != 0; });
}

/// The Concat that makes of state `i` the next iteration's by something behind it, where nothing
/// else reads either; or null.
const Node *growthOf(const Graph &body, const BodyNames &names, size_t i) {
  StringRef before = body.inputs[2 + i].name;
  const Node *node = names.producerOf(1 + i);
  bool grows = node && node->opType == "Concat" && node->domain.empty() &&
               node->inputs.size() > 1 && node->inputs.front() == before && node->find("axis") &&
               names.isReadOnce(before) && names.isReadOnce(1 + i);
  return grows ? node : nullptr;
}

bool isUnrolled(NodeBuilder &b, const Graph &body, const BodyNames &names, Value count,
                Value condition) {
  std::optional<double> trips = count ? b.number(count) : std::nullopt;
  std::optional<double> holds = condition ? b.number(condition) : 1.0;
  bool flat = llvm::none_of(body.nodes, [](const Node &node) {
    return llvm::any_of(node.attributes, [](const Attribute &a) { return !a.graphs.empty(); });
  });
  return trips && *trips >= 1 && holds && *holds != 0 && flat && goesOn(body, names) &&
         *trips * std::max<size_t>(body.nodes.size(), 1) <= maxUnrolledNodes;
}

/// TorchScript counts the steps of a range in floats: ceil((end - begin) / step). `count` in
/// integers, where it is such a number; else itself.
Value countInIntegers(NodeBuilder &b, Value count) {
  auto before = [](Value value, auto isa) -> Value {
    Operation *op = value ? value.getDefiningOp() : nullptr;
    return op && isa(op) ? op->getOperand(0) : Value();
  };
  auto isCast = [](Operation *op) { return isa<CastOp>(op); };
  Value quotient = before(before(count, isCast), [](Operation *op) { return isa<CeilOp>(op); });
  auto division = quotient ? quotient.getDefiningOp<DivOp>() : DivOp();
  Value distance = division ? before(division->getOperand(0), isCast) : Value();
  std::optional<double> given = division ? b.number(division->getOperand(1)) : std::nullopt;
  constexpr double most = 1 << 24; // to which all integers are floats
  if (!distance || !isa<IntegerType>(b.elementType(distance)) || !given ||
      *given != std::trunc(*given) || *given == 0 || std::abs(*given) > most)
    return count;
  auto step = static_cast<int64_t>(std::abs(*given));
  distance = castTo(b, distance, b.ops().getI64Type());
  if (*given < 0)
    distance = unary<NegOp>(b, distance);
  // A distance below 0 stays so, and is no iteration.
  return step == 1 ? distance
                   : withScalar<DivOp>(b, withScalar<AddOp>(b, distance, step - 1), step);
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

/// A Loop that becomes one onnx.Loop. Its body has (iteration, condition, carried...) ->
/// (condition, carried..., slices...).
class LoopImport {
public:
  LoopImport(NodeBuilder &b, const Graph &body, const BodyNames &names, Value count,
             Value condition, ArrayRef<Named> carried);

  void run();

private:
  /// Says that an output has as many elements as there are iterations, which `why`.
  void refuseCounted(const Twine &why) {
    b.unsupported("output " + Twine(llvm::find(isState, false) - isState.begin()) +
                  " has as many elements as the loop has iterations, which " + why);
  }
  LoopStep importBody(Value iteration, ValueRange states);
  Value insertedBy(const Sequence &sequence, size_t i);
  Named grown(size_t i, Value added);
  void giveOutputs(ArrayRef<Value> results);

  NodeBuilder &b;
  const Graph &body;
  ArrayRef<Named> carried;
  // Of each that is carried:
  SmallVector<bool> isState;        ///< it is handed on, and does not just grow
  SmallVector<const Node *> growth; ///< the Concat of a tensor that grows; else null
  SmallVector<bool> several;        ///< an iteration inserts more than one element
  SmallVector<bool> atFront;        ///< and that before all others
  size_t slices;
  LoopInputs loop;
};

LoopImport::LoopImport(NodeBuilder &b, const Graph &body, const BodyNames &names, Value count,
                       Value condition, ArrayRef<Named> carried)
    : b(b), body(body), carried(carried), several(carried.size()), atFront(carried.size()),
      slices(body.outputs.size() - 1 - carried.size()) {
  loop.count = count;
  loop.condition = condition;
  for (auto [i, named] : llvm::enumerate(carried)) {
    growth.push_back(named.sequence ? nullptr : growthOf(body, names, i));
    isState.push_back(!named.sequence && !growth.back());
    if (isState.back())
      loop.states.push_back(named.value);
  }
}

/// What an iteration inserts into the sequence that is carried at `i`: one element, or a stack.
Value LoopImport::insertedBy(const Sequence &sequence, size_t i) {
  const ValueInfo &front = body.inputs[2 + i];
  if (sequence.carried != &front || sequence.runs.empty()) {
    b.unsupported("the body does other things with the sequence " + quoted(front.name) +
                  " than to insert at one of its ends");
    return {};
  }
  several[i] = sequence.runs.size() > 1 || sequence.runs.front().stacked;
  atFront[i] = sequence.atFront;
  return several[i] ? stackElements(b, sequence) : sequence.runs.front().value;
}

LoopStep LoopImport::importBody(Value iteration, ValueRange states) {
  Type flag = b.ops().getI1Type();
  // The body runs only where its condition holds.
  SmallVector<Named> inputs{iteration, b.makeScalar(flag, 1)};
  for (auto [i, named] : llvm::enumerate(carried)) {
    if (isState[i]) {
      inputs.emplace_back(states.front());
      states = states.drop_front();
      continue;
    }
    Named &front = inputs.emplace_back();
    if (named.sequence)
      front.sequence.emplace().carried = &body.inputs[2 + i];
    else
      front.grows = true;
  }
  SmallVector<Named> outputs = b.importNamed(body, inputs);
  checkCarried(b, body, carried, outputs);
  LoopStep step;
  step.condition = scalarOf(b, outputs.front().value, flag, "cond");
  step.stacked = tensors(b, body, outputs, 1 + carried.size());
  for (auto [i, output] : llvm::enumerate(ArrayRef(outputs).slice(1, carried.size()))) {
    if (b.stopped())
      return {};
    if (output.sequence)
      step.stacked.push_back(insertedBy(*output.sequence, i));
    else
      (isState[i] ? step.states : step.stacked).push_back(output.value);
  }
  std::optional<double> fixed = step.condition ? b.number(step.condition) : std::nullopt;
  bool goesOn = fixed && *fixed != 0;
  if (!b.stopped() && goesOn && !loop.count && !loop.condition)
    b.error("has no trip count, and its condition is always true");
  if (!step.stacked.empty() && !goesOn)
    refuseCounted("the condition says only when the model runs");
  return step;
}

/// What is carried at `i` after the loop, which has added `added`, stacked.
Named LoopImport::grown(size_t i, Value added) {
  if (carried[i].sequence) {
    Sequence sequence = *carried[i].sequence;
    Sequence::Run run{several[i] ? mergeDims(b, added, 0) : added, /*stacked=*/true};
    insertRun(b, sequence, run, atFront[i]);
    return sequence;
  }
  int64_t axis = b.normalized(growth[i]->find("axis")->i, b.rank(added) - 1);
  Value joined = mergeDims(b, moveAxis(b, added, 0, axis), axis), before = carried[i].value;
  if (b.stopped())
    return {};
  bool nothing = b.rank(before) == b.rank(joined) && b.dim(before, axis).is(0) &&
                 b.elementType(before) == b.elementType(joined);
  return nothing ? joined : b.make<ConcatOp>(ValueRange{before, joined}, axis);
}

void LoopImport::giveOutputs(ArrayRef<Value> results) {
  ArrayRef<Value> states = results.take_front(loop.states.size());
  ArrayRef<Value> stacked = results.slice(loop.states.size(), slices);
  ArrayRef<Value> added = results.drop_front(loop.states.size() + slices);
  for (size_t i = 0; i < carried.size(); ++i) {
    ArrayRef<Value> &from = isState[i] ? states : added;
    b.out(i, isState[i] ? Named(from.front()) : grown(i, from.front()));
    from = from.drop_front();
  }
  for (auto [i, slice] : llvm::enumerate(stacked))
    b.out(carried.size() + i, slice);
}

void LoopImport::run() {
  size_t stacked = slices + carried.size() - loop.states.size();
  if (stacked > 0 && loop.count && !b.analysis().scalar(loop.count).isKnown())
    return refuseCounted("is known only when the model runs; a count that is an input is fixed by "
                         "raptc --set");
  // A condition that is false from the start is a count of 0.
  if (std::optional<double> holds = loop.condition ? b.number(loop.condition) : 1.0;
      holds && *holds == 0) {
    loop.count = scalarInt(b, 0);
    loop.condition = {};
  }
  loop.stackedReverse.assign(stacked, false);
  SmallVector<Value> results =
      makeLoop(b, loop, [&](Value iteration, ValueRange states, ValueRange) {
        return importBody(iteration, states);
      });
  if (!b.stopped())
    giveOutputs(results);
}

void upgradeLoop(NodeBuilder &b) {
  const Graph *body = b.graphAttr("body");
  Value count = scalarOf(b, b.optional(0), b.ops().getI64Type(), "M");
  if (!b.stopped() && count && !b.analysis().scalar(count).isKnown())
    count = countInIntegers(b, count);
  Value condition = scalarOf(b, b.optional(1), b.ops().getI1Type(), "cond");
  SmallVector<Named> carried;
  for (size_t i = 2; i < b.numInputs(); ++i)
    carried.push_back(b.isSequence(i) ? Named(b.sequence(i)) : Named(b.in(i)));
  if (b.stopped())
    return;
  if (body->inputs.size() != 2 + carried.size() || body->outputs.size() < 1 + carried.size())
    return b.error("attribute 'body' has " + Twine(body->inputs.size()) + " inputs and " +
                   Twine(body->outputs.size()) + " outputs, expected " + Twine(2 + carried.size()) +
                   " and at least " + Twine(1 + carried.size()));
  BodyNames names(*body);
  if (isUnrolled(b, *body, names, count, condition))
    return unrollLoop(b, *body, count, carried);
  LoopImport(b, *body, names, count, condition, carried).run();
}
} // namespace

void addLoop(std::vector<Operator> &table) {
  table.push_back({"Loop", 7, "float, int, bool",
                   "states keep their shapes or only grow by Concat, sequences grow at one end; "
                   "these and stacked outputs need a trip count that follows from constants and "
                   "input dims",
                   upgradeLoop});
}

} // namespace rapt::onnx

//===- VersionsLoop.cpp - Loop ---------------------------------------------------------------===//
//
// A Loop becomes onnx.Loop, a short one of constant length its iterations one after the other. What
// it inserts into a sequence becomes one more stacked result.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/LoopBuilder.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
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

/// A Loop that becomes one onnx.Loop. Its body has (iteration, condition, carried...) ->
/// (condition, carried..., slices...); what is carried is a state or a sequence.
class LoopImport {
public:
  LoopImport(NodeBuilder &b, const Graph &body, Value count, Value condition,
             ArrayRef<Named> carried)
      : b(b), body(body), carried(carried), several(carried.size(), false),
        slices(body.outputs.size() - 1 - carried.size()) {
    loop.count = count;
    loop.condition = condition;
    for (const Named &named : carried)
      if (!named.sequence)
        loop.states.push_back(named.value);
  }

  void run();

private:
  /// Says that an output has as many elements as there are iterations, which `why`.
  void refuseCounted(const Twine &why) {
    const Named *first =
        llvm::find_if(carried, [](const Named &named) { return named.sequence.has_value(); });
    b.unsupported("output " + Twine(first - carried.begin()) +
                  " has as many elements as the loop has iterations, which " + why);
  }
  LoopStep importBody(Value iteration, ValueRange states);
  Value insertedBy(const Sequence &sequence, size_t i);
  void giveOutputs(ArrayRef<Value> results);

  NodeBuilder &b;
  const Graph &body;
  ArrayRef<Named> carried;
  /// Of each sequence: whether an iteration inserts more than one element.
  SmallVector<bool> several;
  size_t slices;
  LoopInputs loop;
};

/// What an iteration inserts into the sequence that is carried at `i`: one element, or a stack.
Value LoopImport::insertedBy(const Sequence &sequence, size_t i) {
  const ValueInfo &front = body.inputs[2 + i];
  if (sequence.front != &front || sequence.runs.empty()) {
    b.unsupported("the body does other things with the sequence " + quoted(front.name) +
                  " than to insert at its end");
    return {};
  }
  several[i] = sequence.runs.size() > 1 || sequence.runs.front().stacked;
  return several[i] ? stackElements(b, sequence) : sequence.runs.front().value;
}

LoopStep LoopImport::importBody(Value iteration, ValueRange states) {
  Type flag = b.ops().getI1Type();
  // The body runs only where its condition holds.
  SmallVector<Named> inputs{iteration, b.makeScalar(flag, 1)};
  for (auto [i, named] : llvm::enumerate(carried)) {
    if (named.sequence) {
      Sequence inside;
      inside.front = &body.inputs[2 + i];
      inputs.emplace_back(inside);
    } else {
      inputs.emplace_back(states.front());
      states = states.drop_front();
    }
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
      step.states.push_back(output.value);
  }
  std::optional<double> fixed = step.condition ? b.number(step.condition) : std::nullopt;
  bool goesOn = fixed && *fixed != 0;
  if (!b.stopped() && goesOn && !loop.count && !loop.condition)
    b.error("has no trip count, and its condition is always true");
  if (!step.stacked.empty() && !goesOn)
    refuseCounted("the condition says only when the model runs");
  return step;
}

void LoopImport::giveOutputs(ArrayRef<Value> results) {
  ArrayRef<Value> states = results.take_front(loop.states.size());
  ArrayRef<Value> stacked = results.slice(loop.states.size(), slices);
  ArrayRef<Value> inserted = results.drop_front(loop.states.size() + slices);
  for (auto [i, named] : llvm::enumerate(carried)) {
    ArrayRef<Value> &from = named.sequence ? inserted : states;
    Value value = from.front();
    from = from.drop_front();
    if (!named.sequence) {
      b.out(i, value);
      continue;
    }
    Sequence grown = *named.sequence;
    grown.runs.push_back({several[i] ? mergeDims(b, value, 0) : value, /*stacked=*/true});
    b.out(i, grown);
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
  if (isUnrolled(b, *body, count, condition))
    return unrollLoop(b, *body, count, carried);
  LoopImport(b, *body, count, condition, carried).run();
}
} // namespace

void addLoop(std::vector<Operator> &table) {
  table.push_back({"Loop", 7, "float, int, bool",
                   "states keep their shapes; sequences grow at their end; they and stacked "
                   "outputs need a trip count that follows from constants and input dims",
                   upgradeLoop});
}

} // namespace rapt::onnx

//===- RecurrentForm.cpp - What a recurrent operator is given --------------------------------===//

#include "frontends/onnx/RecurrentForm.h"

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/Errors.h"
#include "frontends/onnx/Slice.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
Value addNumber(NodeBuilder &b, Value x, double y) { return withScalar<AddOp>(b, x, y); }
Value scale(NodeBuilder &b, Value x, double y) { return y == 1 ? x : withScalar<MulOp>(b, x, y); }

/// The numbers that an activation without given ones has.
std::optional<std::pair<double, double>> defaults(StringRef name) {
  return llvm::StringSwitch<std::optional<std::pair<double, double>>>(name)
      .Cases({"relu", "tanh", "sigmoid", "softsign", "softplus"}, std::pair(0.0, 0.0))
      .Case("affine", std::pair(1.0, 0.0))
      .Case("leakyrelu", std::pair(static_cast<double>(0.01f), 0.0))
      .Case("thresholdedrelu", std::pair(1.0, 0.0))
      .Case("scaledtanh", std::pair(1.0, 1.0))
      .Case("hardsigmoid", std::pair(static_cast<double>(0.2f), static_cast<double>(0.5f)))
      .Case("elu", std::pair(1.0, 0.0))
      .Default(std::nullopt);
}

bool takesAlpha(StringRef name) {
  return !llvm::is_contained({"relu", "tanh", "sigmoid", "softsign", "softplus"}, name);
}
bool takesBeta(StringRef name) {
  return llvm::is_contained({"affine", "scaledtanh", "hardsigmoid"}, name);
}
} // namespace

// --- Activations ---------------------------------------------------------------------------------
Value RecurrentActivation::apply(NodeBuilder &b, Value x) const {
  if (!x || b.stopped())
    return {};
  auto number = [&](double value) { return b.makeScalar(b.elementType(x), value); };
  if (name == "relu")
    return unary<ReluOp>(b, x);
  if (name == "tanh")
    return unary<TanhOp>(b, x);
  if (name == "sigmoid")
    return unary<SigmoidOp>(b, x);
  if (name == "softsign")
    return binary<DivOp>(b, x, addNumber(b, unary<AbsOp>(b, x), 1));
  if (name == "softplus") { // max(x, 0) + log(1 + e^-|x|)
    Value e = unary<ExpOp>(b, unary<NegOp>(b, unary<AbsOp>(b, x)));
    return binary<AddOp>(b, unary<ReluOp>(b, x), unary<LogOp>(b, addNumber(b, e, 1)));
  }
  if (name == "affine")
    return addNumber(b, scale(b, x, alpha), beta);
  if (name == "leakyrelu")
    return where(b, withScalar<LessOp>(b, x, 0), scale(b, x, alpha), x);
  if (name == "thresholdedrelu")
    return where(b, withScalar<GreaterOrEqualOp>(b, x, alpha), x, number(0));
  if (name == "scaledtanh")
    return scale(b, unary<TanhOp>(b, scale(b, x, beta)), alpha);
  if (name == "hardsigmoid") {
    Value line = addNumber(b, scale(b, x, alpha), beta), zero = number(0), one = number(1);
    return b.stopped() ? Value() : b.make<ClipOp>(line, zero, one);
  }
  Value below = scale(b, addNumber(b, unary<ExpOp>(b, x), -1), alpha); // elu
  return where(b, withScalar<LessOp>(b, x, 0), below, x);
}

Value Direction::activate(NodeBuilder &b, int64_t which, Value x, bool clipped) const {
  if (clipped && form.clip > 0 && x) {
    Value least = b.makeScalar(b.elementType(x), -form.clip),
          most = b.makeScalar(b.elementType(x), form.clip);
    x = b.stopped() ? Value() : b.make<ClipOp>(x, least, most);
  }
  int64_t own = form.activations.size() / form.directions;
  return form.activations[number * own + which].apply(b, x);
}

// --- Reading the node ----------------------------------------------------------------------------
RecurrentForm::RecurrentForm(NodeBuilder &b, int64_t gates, int64_t numStates)
    : gates(gates), numStates(numStates) {
  x = b.in(0);
  w = b.in(1);
  r = b.in(2);
  bias = b.optional(3);
  lengths = b.optional(4);
  for (int64_t i = 0; i < numStates; ++i)
    initial.push_back(b.optional(5 + i));
  if (numStates == 2)
    peepholes = b.optional(7);
  if (b.stopped())
    return;
  type = b.elementType(x);
  expectFloat(b, x, "X");
  wide = wideType(b, x);
  readAttributes(b);
  checkShapes(b);
  project(b);
}

void RecurrentForm::readAttributes(NodeBuilder &b) {
  StringRef direction = b.stringAttr("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    b.error("attribute 'direction' is '" + direction +
            "', expected forward, reverse or bidirectional");
  directions = direction == "bidirectional" ? 2 : 1;
  reverse = direction == "reverse";
  if (b.opset() >= 14) {
    int64_t layout = b.intAttr("layout", 0);
    if (layout != 0 && layout != 1)
      b.error("attribute 'layout' is " + Twine(layout) + ", expected 0 or 1");
    batchFirst = layout == 1;
  }
  if (gates == 3)
    linearBeforeReset = b.flagAttr("linear_before_reset", false);
  if (gates == 4)
    inputForget = b.flagAttr("input_forget", false);
  clip = b.floatAttr("clip", 0);
  if (!(clip >= 0))
    b.error("attribute 'clip' is " + numberText(clip) + ", expected at least 0");
  b.ignoreAttr("output_sequence"); // opset 7: whether Y is wanted at all
  readActivations(b);
}

/// Numbers belong to the activations that take them, in their order.
void RecurrentForm::readActivations(NodeBuilder &b) {
  SmallVector<StringRef> own{"Tanh"};
  if (gates == 3)
    own = {"Sigmoid", "Tanh"};
  if (gates == 4)
    own = {"Sigmoid", "Tanh", "Tanh"};
  SmallVector<StringRef> names(own);
  if (directions == 2)
    names.append(own);
  if (std::optional<SmallVector<StringRef>> given = b.stringsAttr("activations")) {
    if (given->size() != names.size())
      return b.error("attribute 'activations' has " + Twine(given->size()) +
                     " elements, expected " + Twine(names.size()));
    names = *given;
  }
  SmallVector<float> alphas = b.floatsAttr("activation_alpha").value_or(SmallVector<float>()),
                     betas = b.floatsAttr("activation_beta").value_or(SmallVector<float>());
  ArrayRef<float> nextAlpha = alphas, nextBeta = betas;
  for (StringRef name : names) {
    RecurrentActivation activation{name.lower()};
    std::optional<std::pair<double, double>> numbers = defaults(activation.name);
    if (!numbers)
      return b.error("attribute 'activations' has " + quoted(name) + ", expected Relu, Tanh, " +
                     "Sigmoid, Softsign, Softplus, Affine, LeakyRelu, ThresholdedRelu, " +
                     "ScaledTanh, HardSigmoid or Elu");
    std::tie(activation.alpha, activation.beta) = *numbers;
    if (takesAlpha(activation.name) && !nextAlpha.empty()) {
      activation.alpha = nextAlpha.front();
      nextAlpha = nextAlpha.drop_front();
    }
    if (takesBeta(activation.name) && !nextBeta.empty()) {
      activation.beta = nextBeta.front();
      nextBeta = nextBeta.drop_front();
    }
    activations.push_back(std::move(activation));
  }
}

/// Ranks, and the dims that the computation relies on; what it reads is checked by inference.
void RecurrentForm::checkShapes(NodeBuilder &b) {
  auto expectRank = [&](Value value, int64_t rank, StringRef name) {
    if (value && !b.stopped() && b.rank(value) != rank)
      b.error("input '" + name + "' has rank " + Twine(b.rank(value)) + ", expected " +
              Twine(rank));
    if (value && !b.stopped() && name != "sequence_lens" && b.elementType(value) != type)
      b.error("input '" + name + "' has element type " + typeName(b.elementType(value)) +
              ", expected " + typeName(type) + " as input 'X'");
  };
  expectRank(x, 3, "X");
  expectRank(w, 3, "W");
  expectRank(r, 3, "R");
  expectRank(bias, 2, "B");
  expectRank(lengths, 1, "sequence_lens");
  expectRank(initial[0], 3, "initial_h");
  if (numStates == 2)
    expectRank(initial[1], 3, "initial_c");
  expectRank(peepholes, 2, "P");
  if (b.stopped())
    return;
  ShapeInference &shapes = b.analysis();
  std::optional<int64_t> dim = shapes.shape(r).back().constant();
  hidden = dim ? *dim : b.intAttr("hidden_size", 0);
  if (b.intAttr("hidden_size", hidden) != hidden)
    return b.error("attribute 'hidden_size' is " + Twine(b.intAttr("hidden_size", 0)) +
                   ", expected " + Twine(hidden) + " as R has");
  if (hidden < 1 || hidden > std::numeric_limits<int32_t>::max())
    return b.error("the hidden size is " + Twine(hidden) + ", expected 1 to 2^31 - 1");
  fixDims(b, w, "W", {directions, gates * hidden, -1});
  fixDims(b, r, "R", {directions, gates * hidden, hidden});
  fixDims(b, bias, "B", {directions, 2 * gates * hidden});
  fixDims(b, peepholes, "P", {directions, 3 * hidden});
  for (Value &state : initial)
    fixDims(b, state, "initial state",
            {batchFirst ? -1 : directions, batchFirst ? directions : -1, hidden});
}

/// Gives symbolic dims of an operand the sizes that they must have (-1: any), which the runtime
/// then checks.
void RecurrentForm::fixDims(NodeBuilder &b, Value &value, StringRef name, ArrayRef<int64_t> dims) {
  if (!value || b.stopped())
    return;
  Shape shape = b.analysis().shapeOf(value);
  SmallVector<Value> parts;
  bool known = true;
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (dim >= 0 && shape[i].constant() && !shape[i].is(dim))
      return b.error("input '" + name + "' has " + shape[i].str() + " as dim " + Twine(i) +
                     ", expected " + Twine(dim));
    known &= dim < 0 || shape[i].is(dim);
    parts.push_back(dim >= 0 ? b.makeInts({dim}) : dimOf(b, value, i));
  }
  if (!known)
    value = reshape(b, value, joinDims(b, parts));
}

/// The products of all steps with the weights of all directions, and which steps there are.
void RecurrentForm::project(NodeBuilder &b) {
  if (b.stopped())
    return;
  if (batchFirst) {
    x = transpose(b, x, {1, 0, 2});
    for (Value &state : initial)
      state = state ? transpose(b, state, {1, 0, 2}) : state;
  }
  x = castTo(b, x, wide);
  int64_t rows = directions * gates * hidden;
  Value inputs = dimOf(b, w, 2);
  Value matrix = reshape(b, castTo(b, w, wide), joinDims(b, {b.makeInts({rows}), inputs}));
  projected = binary<MatMulOp>(b, x, transpose(b, matrix, {1, 0}));
  if (bias && projected) {
    // Of a GRU that resets after the product, the recurrent bias of the candidate comes later.
    int64_t each = gates * hidden, early = linearBeforeReset ? 2 * hidden : each;
    Value wideBias = castTo(b, bias, wide);
    Value sum = slice(b, wideBias, 1, 0, each),
          recurrent = slice(b, wideBias, 1, each, each + early);
    if (linearBeforeReset && recurrent) {
      Value zero = b.makeScalar(wide, 0), shape = b.makeInts({directions, hidden});
      Value zeros = b.stopped() ? Value() : b.make<ExpandOp>(zero, shape);
      recurrent = b.stopped() ? Value() : b.make<ConcatOp>(ValueRange{recurrent, zeros}, 1);
    }
    sum = reshape(b, binary<AddOp>(b, sum, recurrent), b.makeInts({rows}));
    projected = binary<AddOp>(b, projected, sum);
  }
  if (!lengths || !projected)
    return;
  Value steps = iota(b, scalarDimOf(b, x, 0), 0, 3);
  inside = binary<LessOp>(b, steps, alongAxis(b, castTo(b, lengths, b.ops().getI64Type()), 1, 3));
}

Value RecurrentForm::part(NodeBuilder &b, Value value, int64_t number) const {
  if (!value)
    return {};
  Value own = directions == 1 ? value : slice(b, value, 0, number, number + 1);
  return squeeze(b, own, {0});
}

Direction RecurrentForm::direction(NodeBuilder &b, int64_t number) const {
  Direction result{*this, number, projected, {}, {}, {}, {}, {}, {}};
  int64_t each = gates * hidden;
  if (directions == 2)
    result.projected = slice(b, projected, 2, number * each, (number + 1) * each);
  Value weight = part(b, castTo(b, r, wide), number);
  if (gates == 3 && !linearBeforeReset) {
    result.gateWeight = transpose(b, slice(b, weight, 0, 0, 2 * hidden), {1, 0});
    result.candidateWeight = transpose(b, slice(b, weight, 0, 2 * hidden, each), {1, 0});
  } else {
    result.weight = weight ? transpose(b, weight, {1, 0}) : Value();
  }
  if (linearBeforeReset && bias)
    result.resetBias =
        part(b, slice(b, castTo(b, bias, wide), 1, 2 * each - hidden, 2 * each), number);
  if (peepholes)
    result.peepholes = part(b, castTo(b, peepholes, wide), number);
  for (Value state : initial) {
    if (state) {
      result.states.push_back(part(b, castTo(b, state, wide), number));
      continue;
    }
    Value shape = joinDims(b, {dimOf(b, x, 1), b.makeInts({hidden})});
    Value zero = b.makeScalar(wide, 0);
    result.states.push_back(b.stopped() ? Value() : b.make<ExpandOp>(zero, shape));
  }
  return result;
}

} // namespace rapt::onnx

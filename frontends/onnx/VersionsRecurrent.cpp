//===- VersionsRecurrent.cpp - RNN, GRU and LSTM ---------------------------------------------===//
//
// The projections of all steps and directions are one MatMul in front of the loops: x [T, B, I]
// times w^T [I, D G H], plus the biases. One onnx.Loop a direction holds the recurrence. Steps
// beyond the length of a sequence keep the states and give zeros. f16 and bf16 are computed in f32.
//
// T steps, B batch, I inputs, H hidden, D directions, G gates.
//
//===-------------------------------------------------------------------------------------===//

#include "frontends/onnx/Compose.h"
#include "frontends/onnx/LoopBuilder.h"
#include "frontends/onnx/RecurrentForm.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

using namespace mlir;

namespace rapt::onnx {

namespace {
/// x * r^T of one step.
Value recur(NodeBuilder &b, Value state, Value weight) {
  return binary<MatMulOp>(b, state, weight);
}

Value gate(NodeBuilder &b, Value gates, int64_t number, int64_t hidden) {
  return slice(b, gates, b.rank(gates) - 1, number * hidden, (number + 1) * hidden);
}

Value oneMinus(NodeBuilder &b, Value x) {
  return x ? binary<SubOp>(b, b.makeScalar(b.elementType(x), 1), x) : Value();
}

/// h' = f(x w^T + h r^T + biases)
SmallVector<Value> rnnStep(NodeBuilder &b, const Direction &d, Value x, ValueRange states) {
  return {d.activate(b, 0, binary<AddOp>(b, x, recur(b, states[0], d.weight)))};
}

/// Gates in the order z, r, h. `linearBeforeReset` multiplies by the reset gate after the product
/// with the recurrent weight, which then has its own bias.
SmallVector<Value> gruStep(NodeBuilder &b, const Direction &d, Value x, ValueRange states) {
  Value h = states[0];
  int64_t hidden = d.form.hidden;
  Value z, r, candidate;
  if (d.form.linearBeforeReset) {
    Value product = recur(b, h, d.weight);
    z = d.activate(b, 0, binary<AddOp>(b, gate(b, x, 0, hidden), gate(b, product, 0, hidden)));
    r = d.activate(b, 0, binary<AddOp>(b, gate(b, x, 1, hidden), gate(b, product, 1, hidden)));
    Value own = gate(b, product, 2, hidden);
    if (d.resetBias)
      own = binary<AddOp>(b, own, d.resetBias);
    candidate = binary<AddOp>(b, gate(b, x, 2, hidden), binary<MulOp>(b, r, own));
  } else {
    Value product = recur(b, h, d.gateWeight);
    z = d.activate(b, 0, binary<AddOp>(b, gate(b, x, 0, hidden), gate(b, product, 0, hidden)));
    r = d.activate(b, 0, binary<AddOp>(b, gate(b, x, 1, hidden), gate(b, product, 1, hidden)));
    Value own = recur(b, binary<MulOp>(b, r, h), d.candidateWeight);
    candidate = binary<AddOp>(b, gate(b, x, 2, hidden), own);
  }
  candidate = d.activate(b, 1, candidate);
  return {binary<AddOp>(b, binary<MulOp>(b, oneMinus(b, z), candidate), binary<MulOp>(b, z, h))};
}

/// Gates in the order i, o, f, c; peepholes p in the order i, o, f.
SmallVector<Value> lstmStep(NodeBuilder &b, const Direction &d, Value x, ValueRange states) {
  Value h = states[0], c = states[1];
  int64_t hidden = d.form.hidden;
  Value gates = binary<AddOp>(b, x, recur(b, h, d.weight));
  auto peep = [&](Value value, int64_t number, Value cell) {
    if (!d.peepholes)
      return value;
    return binary<AddOp>(b, value, binary<MulOp>(b, gate(b, d.peepholes, number, hidden), cell));
  };
  Value input = d.activate(b, 0, peep(gate(b, gates, 0, hidden), 0, c));
  Value forget = d.form.inputForget ? oneMinus(b, input)
                                    : d.activate(b, 0, peep(gate(b, gates, 2, hidden), 2, c));
  Value candidate = d.activate(b, 1, gate(b, gates, 3, hidden));
  Value cell = binary<AddOp>(b, binary<MulOp>(b, forget, c), binary<MulOp>(b, input, candidate));
  Value output = d.activate(b, 0, peep(gate(b, gates, 1, hidden), 1, cell));
  return {binary<MulOp>(b, output, d.activate(b, 2, cell, /*clipped=*/false)), cell};
}

using Step = SmallVector<Value> (*)(NodeBuilder &, const Direction &, Value, ValueRange);

/// One direction: the states after the last step, then the hidden states of all steps [T, B, H].
SmallVector<Value> runDirection(NodeBuilder &b, const RecurrentForm &form, int64_t number,
                                Step step) {
  Direction direction = form.direction(b, number);
  LoopInputs loop;
  loop.states = direction.states;
  loop.scanned = {direction.projected};
  if (form.inside)
    loop.scanned.push_back(form.inside);
  bool reverse = form.isReverse(number);
  loop.scannedReverse.assign(loop.scanned.size(), reverse);
  loop.stackedReverse = {reverse};
  return makeLoop(b, loop, [&](Value, ValueRange states, ValueRange slices) -> LoopStep {
    SmallVector<Value> next = step(b, direction, slices[0], states);
    Value shown = next.front();
    if (form.inside) {
      for (auto [after, before] : llvm::zip_equal(next, states))
        after = where(b, slices[1], after, before);
      if (shown)
        shown = where(b, slices[1], shown, b.makeScalar(b.elementType(shown), 0));
    }
    return {Value(), next, {shown}};
  });
}

/// y [T, D, B, H], or [B, T, D, H] with layout 1; y_h and y_c [D, B, H], or [B, D, H].
template <Step step> void upgradeRecurrent(NodeBuilder &b, int64_t gates, int64_t numStates) {
  RecurrentForm form(b, gates, numStates);
  if (b.stopped())
    return;
  SmallVector<SmallVector<Value>> parts(1 + numStates); // of y, y_h and y_c, one a direction
  for (int64_t number = 0; number < form.directions; ++number) {
    SmallVector<Value> results = runDirection(b, form, number, step);
    if (b.stopped() || results.empty())
      return;
    parts[0].push_back(unsqueeze(b, results.back(), {1}));
    for (int64_t i = 0; i < numStates; ++i)
      parts[1 + i].push_back(unsqueeze(b, results[i], {0}));
  }
  for (auto [i, list] : llvm::enumerate(parts)) {
    if (b.stopped())
      return;
    Value joined = list.size() == 1 ? list.front() : b.make<ConcatOp>(list, i == 0 ? 1 : 0);
    if (form.batchFirst)
      joined = i == 0 ? transpose(b, joined, {2, 0, 1, 3}) : transpose(b, joined, {1, 0, 2});
    b.out(i, castTo(b, joined, form.type));
  }
}

void upgradeRNN(NodeBuilder &b) { upgradeRecurrent<rnnStep>(b, 1, 1); }
void upgradeGRU(NodeBuilder &b) { upgradeRecurrent<gruStep>(b, 3, 1); }
void upgradeLSTM(NodeBuilder &b) { upgradeRecurrent<lstmStep>(b, 4, 2); }
} // namespace

void addRecurrent(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral notes = "becomes MatMul and onnx.Loop; layout since 14";
  table.insert(table.end(), {
                                {"GRU", 7, "float", notes, upgradeGRU},
                                {"LSTM", 7, "float", notes, upgradeLSTM},
                                {"RNN", 7, "float", notes, upgradeRNN},
                            });
}

} // namespace rapt::onnx

//===- SpecInterpreter.cpp - Runs a KernelSpec slowly and plainly --------------*- C++ -*-===//
#include "SpecInterpreter.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace rapt::kernels::test {

int64_t evaluate(const Extent &extent, const std::vector<int64_t> &dims) {
  int64_t product = extent.factor;
  for (int dim : extent.dims)
    product *= dims[dim];
  return product;
}

int64_t countElements(const Tensor &tensor, const std::vector<int64_t> &dims) {
  int64_t count = 1;
  for (const Extent &extent : tensor.shape)
    count *= evaluate(extent, dims);
  return count;
}

namespace {

struct Interpreter {
  const KernelSpec &spec;
  const std::vector<int64_t> &dims;
  Rounding rounding;
  std::vector<Values> tensors;

  double round(ScalarType type, double value) const {
    return type == ScalarType::F32 && rounding == Rounding::Single ? static_cast<float>(value)
                                                                   : value;
  }

  double load(const Expr &expr, const std::vector<int64_t> &loops) const {
    const Tensor &tensor = spec.tensors[expr.integer];
    int64_t offset = 0;
    for (size_t i = 0; i < expr.operands.size(); ++i) {
      int64_t size = evaluate(tensor.shape[i], dims);
      int64_t index = static_cast<int64_t>(value(expr.operands[i], loops));
      offset = offset * size + std::clamp<int64_t>(index, 0, size - 1);
    }
    return tensors[expr.integer][offset];
  }

  static double unary(UnaryOp op, ScalarType type, double a) {
    switch (op) {
    case UnaryOp::Neg:
      return -a;
    case UnaryOp::Abs:
      return std::abs(a);
    case UnaryOp::Exp:
      return std::exp(a);
    case UnaryOp::Log:
      return std::log(a);
    case UnaryOp::Sqrt:
      return std::sqrt(a);
    case UnaryOp::Rsqrt:
      return 1 / std::sqrt(a);
    case UnaryOp::Erf:
      return std::erf(a);
    case UnaryOp::Tanh:
      return std::tanh(a);
    case UnaryOp::Sin:
      return std::sin(a);
    case UnaryOp::Cos:
      return std::cos(a);
    case UnaryOp::Floor:
      return std::floor(a);
    case UnaryOp::Ceil:
      return std::ceil(a);
    case UnaryOp::Round:
      return std::nearbyint(a);
    case UnaryOp::Not:
      return type == ScalarType::Bool ? a == 0 : static_cast<double>(~static_cast<int64_t>(a));
    case UnaryOp::IsNan:
      return std::isnan(a);
    }
    return 0;
  }

  static double integerBinary(BinaryOp op, int64_t a, int64_t b) {
    int64_t down = b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0));
    switch (op) {
    case BinaryOp::Div:
      return b == 0 ? a : a / b;
    case BinaryOp::Mod:
      return b == 0 ? 0 : a % b;
    case BinaryOp::FloorDiv:
      return down;
    case BinaryOp::FloorMod:
      return a - down * b;
    case BinaryOp::And:
      return a & b;
    case BinaryOp::Or:
      return a | b;
    case BinaryOp::Xor:
      return a ^ b;
    default:
      return 0;
    }
  }

  static double binary(BinaryOp op, ScalarType type, double a, double b) {
    switch (op) {
    case BinaryOp::Add:
      return a + b;
    case BinaryOp::Sub:
      return a - b;
    case BinaryOp::Mul:
      return a * b;
    case BinaryOp::Min:
      return std::min(a, b);
    case BinaryOp::Max:
      return std::max(a, b);
    case BinaryOp::Pow:
      return std::pow(a, b);
    case BinaryOp::Eq:
      return a == b;
    case BinaryOp::Ne:
      return a != b;
    case BinaryOp::Lt:
      return a < b;
    case BinaryOp::Le:
      return a <= b;
    case BinaryOp::Gt:
      return a > b;
    case BinaryOp::Ge:
      return a >= b;
    case BinaryOp::Div:
      if (isFloat(type))
        return a / b;
      break;
    case BinaryOp::Mod:
      if (isFloat(type))
        return std::fmod(a, b);
      break;
    default:
      break;
    }
    return integerBinary(op, static_cast<int64_t>(a), static_cast<int64_t>(b));
  }

  static double convert(ScalarType type, double a) {
    if (type == ScalarType::Bool)
      return a != 0;
    return isFloat(type) ? a : std::trunc(a);
  }

  double value(const ExprRef &ref, const std::vector<int64_t> &loops) const {
    const Expr &expr = *ref;
    switch (expr.kind) {
    case Expr::Kind::Int:
      return static_cast<double>(expr.integer);
    case Expr::Kind::Float:
      return round(expr.type, expr.real);
    case Expr::Kind::Loop:
      return static_cast<double>(loops[expr.integer]);
    case Expr::Kind::Dim:
      return static_cast<double>(dims[expr.integer]);
    case Expr::Kind::Load:
      return load(expr, loops);
    case Expr::Kind::Unary:
      return round(expr.type,
                   unary(expr.unary, expr.operands[0]->type, value(expr.operands[0], loops)));
    case Expr::Kind::Binary: {
      double a = value(expr.operands[0], loops), b = value(expr.operands[1], loops);
      return round(expr.type, binary(expr.binary, expr.operands[0]->type, a, b));
    }
    case Expr::Kind::Select:
      return value(expr.operands[value(expr.operands[0], loops) != 0 ? 1 : 2], loops);
    case Expr::Kind::Cast:
      return round(expr.type, convert(expr.type, value(expr.operands[0], loops)));
    }
    return 0;
  }

  /// Calls body(indices) for every point of `sizes` in row-major order; `indices` keeps its length.
  template <typename Body>
  static void forEach(const std::vector<int64_t> &sizes, size_t first, size_t last,
                      std::vector<int64_t> &indices, const Body &body) {
    if (first == last)
      return body();
    for (indices[first] = 0; indices[first] < sizes[first]; ++indices[first])
      forEach(sizes, first + 1, last, indices, body);
  }

  void run(const Stage &stage) {
    const LoopStage &loop = stage.loop;
    ScalarType type = spec.tensors[stage.result].type;
    std::vector<int64_t> sizes, indices(loop.loops.size());
    for (const Extent &extent : loop.loops)
      sizes.push_back(evaluate(extent, dims));
    Values &result = tensors[stage.result];
    forEach(sizes, 0, loop.parallel, indices, [&] {
      bool first = true;
      double sum = 0;
      forEach(sizes, loop.parallel, sizes.size(), indices, [&] {
        double term = value(loop.body, indices);
        sum = first ? term : combine(loop.reduction, type, sum, term);
        first = false;
      });
      result.push_back(sum);
    });
  }

  double combine(Reduction reduction, ScalarType type, double a, double b) const {
    switch (reduction) {
    case Reduction::Max:
      return std::max(a, b);
    case Reduction::Min:
      return std::min(a, b);
    case Reduction::Prod:
      return round(type, a * b);
    default:
      return round(type, a + b);
    }
  }

  /// Rules S1 to S6, one row of one head at a time.
  void run(const AttentionStage &attention, Values &result) {
    int64_t batch = evaluate(attention.batch, dims), queries = evaluate(attention.queries, dims),
            keys = evaluate(attention.keys, dims);
    int64_t group = attention.heads / attention.kvHeads;
    auto f32 = [&](double x) { return round(ScalarType::F32, x); };
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < attention.heads; ++h)
        for (int64_t i = 0; i < queries; ++i) {
          std::vector<double> scores(keys), weights(keys);
          std::vector<bool> excluded(keys);
          std::vector<int> hidden(keys); // what counts in place of the score in an empty row
          double largest = -DBL_MAX;
          bool empty = true;
          for (int64_t j = 0; j < keys; ++j) {
            double score = 0;
            for (int64_t d = 0; d < attention.headDim; ++d)
              score = f32(score + f32(value(attention.query, {b, h, i, d}) *
                                      value(attention.key, {b, h / group, j, d})));
            score = f32(score * attention.scale);
            if (attention.softcap > 0)
              score = f32(attention.softcap * std::tanh(score / attention.softcap));
            if (attention.bias)
              score = f32(score + value(attention.bias, {b, h, i, j}));
            scores[j] = score;
            if (std::isinf(score) && score < 0)
              excluded[j] = true;
            auto offset = [&](const ExprRef &expr) { return i + value(expr, {b, h, i, j}); };
            bool inMask = !attention.mask || value(attention.mask, {b, h, i, j}) != 0;
            bool inCausal = !attention.causalOffset || j <= offset(*attention.causalOffset);
            bool inWindow = !attention.windowOffset || j >= offset(*attention.windowOffset);
            if (!inMask || !inCausal || !inWindow)
              excluded[j] = true;
            hidden[j] = 1;
            if (attention.emptyRow == AttentionStage::EmptyRow::MaskMean)
              hidden[j] += inMask;
            if (attention.emptyRow == AttentionStage::EmptyRow::EitherMean)
              hidden[j] = inMask || (inCausal && inWindow);
            if (attention.emptyRow == AttentionStage::EmptyRow::CausalMean)
              hidden[j] = inCausal && (inMask || inWindow);
            if (!excluded[j]) {
              largest = std::max(largest, scores[j]);
              empty = false;
            }
          }
          double sum = 0;
          if (attention.sink) {
            double sink = value(attention.sink, {b, h, i});
            bool isLeft = !(std::isinf(sink) && sink < 0);
            largest = isLeft ? std::max(largest, sink) : largest;
            sum = isLeft ? f32(std::exp(f32(sink - largest))) : 0;
            empty &= !isLeft;
          }
          for (int64_t j = 0; j < keys; ++j) {
            int most = *std::max_element(hidden.begin(), hidden.end());
            weights[j] = empty         ? most > 0 && hidden[j] == most
                         : excluded[j] ? 0
                                       : f32(std::exp(f32(scores[j] - largest)));
            sum = f32(sum + weights[j]);
          }
          for (int64_t d = 0; d < attention.valueDim; ++d) {
            double total = 0;
            for (int64_t j = 0; j < keys; ++j)
              total = f32(total + f32(f32(weights[j] / sum) *
                                      value(attention.value, {b, h / group, j, d})));
            if (empty && attention.emptyRow == AttentionStage::EmptyRow::Zero)
              total = 0;
            if (empty && attention.emptyRow == AttentionStage::EmptyRow::Nan)
              total = std::numeric_limits<double>::quiet_NaN();
            result.push_back(total);
          }
        }
  }
};

} // namespace

std::vector<Values> interpret(const KernelSpec &spec, const std::vector<int64_t> &dims,
                              const std::vector<Values> &inputs, Rounding rounding) {
  Interpreter interpreter{spec, dims, rounding, inputs};
  interpreter.tensors.resize(spec.tensors.size());
  for (const Stage &stage : spec.stages) {
    if (stage.attention)
      interpreter.run(*stage.attention, interpreter.tensors[stage.result]);
    else
      interpreter.run(stage);
  }
  return std::move(interpreter.tensors);
}

} // namespace rapt::kernels::test

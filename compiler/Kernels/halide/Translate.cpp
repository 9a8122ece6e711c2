//===- Translate.cpp - KernelSpec expressions as Halide expressions ------------*- C++ -*-===//
//
// Expressions are translated node by node; only the types change (Translate.h). Index arithmetic
// stays inside int32, and an index that is data is clamped before it is used.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/halide/Translate.h"
#include "compiler/Kernels/halide/Math.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <functional>
#include <limits>
#include <unordered_map>

namespace rapt::kernels::halide {

namespace H = Halide;

H::Type storageType(ScalarType type) {
  switch (type) {
  case ScalarType::Bool:
  case ScalarType::U8:
    return H::UInt(8);
  case ScalarType::I8:
    return H::Int(8);
  case ScalarType::I16:
    return H::Int(16);
  case ScalarType::I32:
    return H::Int(32);
  case ScalarType::I64:
    return H::Int(64);
  case ScalarType::F32:
    return H::Float(32);
  case ScalarType::F64:
    return H::Float(64);
  case ScalarType::F16:
    return H::Float(16);
  case ScalarType::BF16:
    return H::BFloat(16);
  }
  return H::Float(32);
}

//===-------------------------------------------------------------------------------------===//
// Questions about expressions
//===-------------------------------------------------------------------------------------===//

static bool containsLoad(const ExprRef &expr) {
  return anyNode(expr, [](const Expr &node) { return node.kind == Expr::Kind::Load; });
}

/// True when loops and dims (never negative) can only give a value >= 0.
static bool isNonNegative(const ExprRef &expr) {
  switch (expr->kind) {
  case Expr::Kind::Int:
    return expr->integer >= 0;
  case Expr::Kind::Loop:
  case Expr::Kind::Dim:
    return true;
  case Expr::Kind::Binary:
    switch (expr->binary) {
    case BinaryOp::Add:
    case BinaryOp::Mul:
    case BinaryOp::Div:
    case BinaryOp::Mod:
    case BinaryOp::FloorDiv:
    case BinaryOp::Min:
      return isNonNegative(expr->operands[0]) && isNonNegative(expr->operands[1]);
    case BinaryOp::Max:
      return isNonNegative(expr->operands[0]) || isNonNegative(expr->operands[1]);
    case BinaryOp::FloorMod:
      return isNonNegative(expr->operands[1]);
    default:
      return false;
    }
  default:
    return false;
  }
}

//===-------------------------------------------------------------------------------------===//
// Translation
//===-------------------------------------------------------------------------------------===//

namespace {

/// Turns one expression into Halide; `guarded` is true below a select, where a load may name an
/// element that does not exist because the other branch is taken.
struct Translator {
  const Lowering &lowering;
  const std::vector<H::Expr> &loops;
  std::unordered_map<const Expr *, H::Expr> memo[2];

  H::Expr visit(const ExprRef &expr, bool guarded) {
    if (auto found = memo[guarded].find(expr.get()); found != memo[guarded].end())
      return found->second;
    H::Expr result = node(*expr, guarded);
    memo[guarded].emplace(expr.get(), result);
    return result;
  }

  H::Expr node(const Expr &expr, bool guarded) {
    switch (expr.kind) {
    case Expr::Kind::Int:
      return integer(expr);
    case Expr::Kind::Float:
      return real(expr);
    case Expr::Kind::Loop:
      return loops[expr.integer];
    case Expr::Kind::Dim:
      return lowering.dims[expr.integer];
    case Expr::Kind::Load:
      return load(expr, guarded);
    case Expr::Kind::Unary:
      return unary(expr, visit(expr.operands[0], guarded));
    case Expr::Kind::Binary:
      return binary(expr, visit(expr.operands[0], guarded), visit(expr.operands[1], guarded));
    case Expr::Kind::Select: {
      H::Expr a = visit(expr.operands[1], true), b = visit(expr.operands[2], true);
      unify(a, b);
      return H::select(visit(expr.operands[0], guarded), a, b);
    }
    case Expr::Kind::Cast:
      return cast(expr, visit(expr.operands[0], guarded));
    }
    return {};
  }

  static H::Expr integer(const Expr &expr) {
    if (expr.type == ScalarType::Bool)
      return H::cast(H::Bool(), H::Expr(expr.integer != 0 ? 1 : 0));
    if (expr.type == ScalarType::I64 && expr.integer == static_cast<int32_t>(expr.integer))
      return static_cast<int32_t>(expr.integer);
    return H::Internal::make_const(storageType(expr.type), expr.integer);
  }

  H::Expr real(const Expr &expr) const {
    double value = expr.real;
    if (lowering.finite && value < Lowering::lowestFinite)
      value = std::isinf(value) ? -FLT_MAX : Lowering::lowestFinite;
    else if (lowering.finite && std::isinf(value))
      value = FLT_MAX;
    return H::Internal::make_const(storageType(expr.type), value);
  }

  /// Index arithmetic (int32) meets I64 data (int64): both become int64.
  static void unify(H::Expr &a, H::Expr &b) {
    if (a.type() == b.type())
      return;
    if (a.type() == H::Int(64))
      b = H::cast(H::Int(64), b);
    else if (b.type() == H::Int(64))
      a = H::cast(H::Int(64), a);
  }

  /// The index in dimension `dim` of `tensor` as int32, inside the tensor whatever was loaded.
  H::Expr index(const Tensor &tensor, size_t dim, const ExprRef &expr, bool guarded) {
    H::Expr value = visit(expr, guarded);
    H::Expr last = lowering.extent(tensor.shape[dim]) - 1;
    if (containsLoad(expr)) {
      last = H::cast(value.type(), last);
      value = H::clamp(value, H::Internal::make_zero(value.type()), last);
    } else if (guarded && expr->kind != Expr::Kind::Loop) {
      value = H::clamp(H::likely(value), 0, last);
    }
    return H::cast(H::Int(32), value);
  }

  H::Expr load(const Expr &expr, bool guarded) {
    const Tensor &tensor = lowering.spec.tensors[expr.integer];
    std::vector<H::Expr> indices;
    for (size_t i = expr.operands.size(); i-- > 0;)
      indices.push_back(index(tensor, i, expr.operands[i], guarded));
    if (tensor.panel) { // [K, N] -> (n % nr, k, n / nr)
      int nr = static_cast<int>(tensor.panel);
      indices = {indices[0] % nr, indices[1], indices[0] / nr};
    }
    H::Expr value = lowering.isInput(static_cast<int>(expr.integer))
                        ? H::Expr(lowering.inputs[expr.integer](indices))
                        : H::Expr(lowering.results.at(static_cast<int>(expr.integer))(indices));
    return tensor.type == ScalarType::Bool ? value != H::cast<uint8_t>(0) : value;
  }

  static void requireF32(const Expr &expr) {
    if (expr.type != ScalarType::F32)
      throw H::CompileError("elementary functions are made for f32 only");
  }

  static H::Expr unary(const Expr &expr, const H::Expr &a) {
    switch (expr.unary) {
    case UnaryOp::Neg:
      return -a;
    case UnaryOp::Abs:
      return H::cast(a.type(), H::abs(a));
    case UnaryOp::Sqrt:
      return H::sqrt(a);
    case UnaryOp::Rsqrt:
      return H::Internal::make_one(a.type()) / H::sqrt(a);
    case UnaryOp::Floor:
      return H::floor(a);
    case UnaryOp::Ceil:
      return H::ceil(a);
    case UnaryOp::Round:
      return H::round(a);
    case UnaryOp::Not:
      return a.type().is_bool() ? !a : ~a;
    case UnaryOp::IsNan: {
      // On the bits: fast-math may fold x != x.
      if (a.type() == H::Float(64))
        return (H::reinterpret<uint64_t>(a) << 1) >
               H::Internal::make_const(H::UInt(64), 0xFFE0000000000000);
      return (H::reinterpret<uint32_t>(H::cast<float>(a)) << 1) >
             H::cast<uint32_t>(H::Expr(0xFF000000u));
    }
    default:
      break;
    }
    requireF32(expr);
    switch (expr.unary) {
    case UnaryOp::Exp:
      return expAny(a);
    case UnaryOp::Log:
      return logAny(a);
    case UnaryOp::Erf:
      return erfAny(a);
    case UnaryOp::Tanh:
      return tanhAny(a);
    case UnaryOp::Sin:
      return sinAny(a);
    default:
      return cosAny(a);
    }
  }

  /// Truncating division and remainder; 0 and -1 as divisors must not trap, whatever was loaded.
  static H::Expr truncatingDivision(const H::Expr &a, const H::Expr &b, bool remainder) {
    H::Expr zero = H::Internal::make_zero(b.type()), one = H::Internal::make_one(b.type());
    if (b.type().is_uint()) {
      H::Expr safe = H::max(b, one);
      return remainder ? a % safe : a / safe;
    }
    H::Expr minusOne = H::Internal::make_const(b.type(), -1);
    H::Expr safe = H::select(b == zero || b == minusOne, one, b);
    if (remainder)
      return H::mod_round_to_zero(a, safe);
    return H::select(b == minusOne, -a, H::div_round_to_zero(a, safe));
  }

  static H::Expr binary(const Expr &expr, H::Expr a, H::Expr b) {
    unify(a, b);
    const ExprRef &lhs = expr.operands[0], &rhs = expr.operands[1];
    bool real = a.type().is_float();
    // Loops and dims are not negative: there Halide's rounding (down) is truncation, and it
    // simplifies.
    bool floorIsTruncation = !real && isNonNegative(lhs) && isNonNegative(rhs);
    switch (expr.binary) {
    case BinaryOp::Add:
      return a.type().is_bool() ? a || b : a + b;
    case BinaryOp::Sub:
      return a - b;
    case BinaryOp::Mul:
      return a.type().is_bool() ? a && b : a * b;
    case BinaryOp::Div:
      return real || floorIsTruncation ? a / b : truncatingDivision(a, b, false);
    case BinaryOp::Mod:
      if (real)
        return a - b * H::trunc(a / b);
      return floorIsTruncation ? a % b : truncatingDivision(a, b, true);
    case BinaryOp::FloorDiv: // Halide's integer division rounds down for positive divisors
      return a / b;
    case BinaryOp::FloorMod:
      return a % b;
    case BinaryOp::Min:
      return a.type().is_bool() ? a && b : H::min(a, b);
    case BinaryOp::Max:
      return a.type().is_bool() ? a || b : H::max(a, b);
    case BinaryOp::Pow:
      if (!real)
        throw H::CompileError("pow is made for floats only");
      requireF32(expr);
      return powAny(a, b);
    case BinaryOp::And:
      return a.type().is_bool() ? a && b : a & b;
    case BinaryOp::Or:
      return a.type().is_bool() ? a || b : a | b;
    case BinaryOp::Xor:
      return a.type().is_bool() ? a != b : a ^ b;
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
    }
    return {};
  }

  H::Expr cast(const Expr &expr, const H::Expr &a) const {
    if (expr.type == ScalarType::Bool)
      return a.type().is_bool() ? a : a != H::Internal::make_zero(a.type());
    // Where Halide rounds to f16 by integer arithmetic, NaN becomes an infinity: without
    // instructions for it, and by way of f32 from bf16.
    const Expr &from = *expr.operands[0];
    bool fromBf16 = from.kind == Expr::Kind::Cast && from.operands[0]->type == ScalarType::BF16;
    const std::vector<std::string> &features = lowering.cpu.features;
    bool hasF16 = std::find(features.begin(), features.end(), "f16c") != features.end();
    if (expr.type == ScalarType::F16 && (fromBf16 || !hasF16))
      throw H::CompileError("this conversion to f16 is not made");
    if (a.type().is_bool() || expr.type != ScalarType::I64)
      return H::cast(storageType(expr.type), a);
    // An index that was I64 before stays int32 arithmetic; data is widened.
    return expr.operands[0]->type == ScalarType::I64 ? a : H::cast(H::Int(64), a);
  }
};

} // namespace

H::Expr Lowering::translate(const ExprRef &expr, const std::vector<H::Expr> &loops) const {
  return Translator{*this, loops, {}}.visit(expr, false);
}

//===-------------------------------------------------------------------------------------===//
// Parameters and stages
//===-------------------------------------------------------------------------------------===//

Lowering::Lowering(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &cpu)
    : spec(spec), schedule(schedule), cpu(cpu) {
  for (int i = 0; i < spec.numDims; ++i)
    dims.emplace_back("dim" + std::to_string(i));
  for (int i = 0; i < spec.numInputs; ++i) {
    const Tensor &tensor = spec.tensors[i];
    int rank = tensor.panel ? 3 : static_cast<int>(tensor.shape.size());
    inputs.emplace_back(storageType(tensor.type), rank, "in" + std::to_string(i));
    describe(inputs.back(), tensor);
  }
}

void Lowering::describe(H::OutputImageParam buffer, const Tensor &tensor, bool bounds) const {
  if (tensor.panel) {
    int nr = static_cast<int>(tensor.panel);
    H::Expr k = extent(tensor.shape[0]), n = extent(tensor.shape[1]);
    buffer.set_host_alignment(64);
    buffer.dim(0).set_bounds(0, nr).set_stride(1);
    buffer.dim(1).set_bounds(0, k).set_stride(nr);
    buffer.dim(2).set_bounds(0, (n + nr - 1) / nr).set_stride(k * nr);
    return;
  }
  Extent stride;
  for (size_t i = tensor.shape.size(), dim = 0; i-- > 0; ++dim) {
    if (bounds)
      buffer.dim(dim).set_bounds(0, extent(tensor.shape[i]));
    buffer.dim(dim).set_stride(extent(stride));
    stride = stride * tensor.shape[i];
  }
}

std::vector<H::Argument> Lowering::arguments() const {
  std::vector<H::Argument> result(dims.begin(), dims.end());
  result.insert(result.end(), inputs.begin(), inputs.end());
  return result;
}

H::Expr Lowering::extent(const Extent &extent) const {
  H::Expr product = static_cast<int>(extent.factor);
  for (int dim : extent.dims)
    product = product * dims[dim];
  return H::Internal::simplify(product);
}

std::vector<H::Var> Lowering::loopVars(int count) {
  std::vector<H::Var> vars;
  for (int i = 0; i < count; ++i)
    vars.emplace_back("i" + std::to_string(i));
  return vars;
}

std::vector<H::Var> Lowering::coordinates(int count) {
  std::vector<H::Var> vars = loopVars(count);
  return {vars.rbegin(), vars.rend()};
}

const Stage &Lowering::stageOf(int tensor) const {
  for (const Stage &stage : spec.stages)
    if (stage.result == tensor)
      return stage;
  throw H::CompileError("tensor " + std::to_string(tensor) + " is defined by no stage");
}

/// The value that leaves every other one unchanged. Finite unless `strict`: fast-math knows no
/// infinity.
static H::Expr identity(Reduction reduction, H::Type type, bool strict) {
  double largest = type == H::Float(64)    ? DBL_MAX
                   : type == H::Float(16)  ? 65504.0
                   : type == H::BFloat(16) ? 3.3895313892515355e38
                                           : FLT_MAX;
  if (strict)
    largest = std::numeric_limits<double>::infinity();
  switch (reduction) {
  case Reduction::Max:
    return type.is_float() ? H::Internal::make_const(type, -largest) : type.min();
  case Reduction::Min:
    return type.is_float() ? H::Internal::make_const(type, largest) : type.max();
  case Reduction::Prod:
    return H::Internal::make_one(type);
  default:
    return H::Internal::make_zero(type);
  }
}

H::Func Lowering::define(const Stage &stage, std::vector<H::RVar> *reduced) {
  const LoopStage &loop = stage.loop;
  H::Type type = storageType(spec.tensors[stage.result].type);
  H::Func func(stage.name);
  std::vector<H::Var> vars = loopVars(loop.parallel), args = coordinates(loop.parallel);
  std::vector<H::Expr> indices(vars.begin(), vars.end());

  if (loop.reduction == Reduction::None) {
    func(args) = H::cast(type, translate(loop.body, indices));
  } else {
    std::vector<H::Range> ranges;
    for (size_t i = loop.loops.size(); i-- > static_cast<size_t>(loop.parallel);)
      ranges.push_back({0, extent(loop.loops[i])});
    H::RDom domain(ranges, stage.name + "_r");
    for (int i = domain.dimensions(); i-- > 0;)
      indices.push_back(domain[i]);
    func(args) = identity(loop.reduction, type, !finite && needsStrictFloat(spec));
    H::Expr body = H::cast(type, translate(loop.body, indices));
    switch (loop.reduction) {
    case Reduction::Max:
      func(args) = H::max(func(args), body);
      break;
    case Reduction::Min:
      func(args) = H::min(func(args), body);
      break;
    case Reduction::Prod:
      func(args) *= body;
      break;
    default:
      func(args) += body;
    }
    if (reduced)
      for (int i = 0; i < domain.dimensions(); ++i)
        reduced->push_back(domain[i]);
  }
  results[stage.result] = func;
  return func;
}

} // namespace rapt::kernels::halide

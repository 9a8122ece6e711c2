//===- Translate.cpp - KernelSpec expressions as Halide expressions ------------*- C++ -*-===//
//
// Expressions are translated node by node; only the types change (Translate.h). Index arithmetic
// stays inside int32, and an index that is data is clamped before it is used.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Kernels/halide/Translate.h"

#include "compiler/Kernels/halide/ScalarOps.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <unordered_map>
#include <unordered_set>

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

/// Which dims are a size of a tensor or of a loop, and so never negative. Others may be: where a
/// window begins, how much longer one tensor is than another.
static std::vector<bool> findSizes(const KernelSpec &spec) {
  std::vector<bool> isSize(spec.numDims);
  auto note = [&](const std::vector<Extent> &extents) {
    for (const Extent &extent : extents)
      for (int dim : extent.dims)
        isSize[dim] = true;
  };
  for (const Tensor &tensor : spec.tensors)
    note(tensor.shape);
  for (const Stage &stage : spec.stages)
    note(stage.loop.loops);
  return isSize;
}

/// True when loops and sizes can only give a value >= 0.
static bool isNonNegative(const ExprRef &expr, const std::vector<bool> &isSize) {
  auto operand = [&](size_t i) { return isNonNegative(expr->operands[i], isSize); };
  switch (expr->kind) {
  case Expr::Kind::Int:
    return expr->integer >= 0;
  case Expr::Kind::Loop:
    return true;
  case Expr::Kind::Dim:
    return isSize[expr->integer];
  case Expr::Kind::Binary:
    switch (expr->binary) {
    case BinaryOp::Add:
    case BinaryOp::Mul:
    case BinaryOp::Div:
    case BinaryOp::Mod:
    case BinaryOp::FloorDiv:
    case BinaryOp::Min:
      return operand(0) && operand(1);
    case BinaryOp::Max:
      return operand(0) || operand(1);
    case BinaryOp::FloorMod:
      return operand(1);
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

/// Where an expression stands.
struct Place {
  /// Below a select: a load may name an element that does not exist, because the other branch is
  /// taken.
  bool guarded = false;
  /// In an index: fits int32, as every place in a tensor does.
  bool index = false;

  Place below() const { return {true, index}; }
};

/// Turns one expression into Halide.
struct Translator {
  const Lowering &lowering;
  const std::vector<H::Expr> &loops;
  std::unordered_map<const Expr *, H::Expr> memo[2][2];
  std::unordered_map<const Expr *, double> bounds;

  H::Expr visit(const ExprRef &expr, Place at) {
    auto &known = memo[at.guarded][at.index];
    if (auto found = known.find(expr.get()); found != known.end())
      return found->second;
    H::Expr result = node(*expr, at);
    known.emplace(expr.get(), result);
    return result;
  }

  /// What the absolute value of an expression of loops, dims and constants does not exceed.
  double bound(const Expr &expr) {
    if (auto found = bounds.find(&expr); found != bounds.end())
      return found->second;
    auto of = [&](size_t i) { return bound(*expr.operands[i]); };
    double result = std::numeric_limits<double>::infinity();
    if (expr.kind == Expr::Kind::Int)
      result = std::fabs(static_cast<double>(expr.integer));
    else if (expr.kind == Expr::Kind::Loop)
      result = INT32_MAX - 1.0;
    else if (expr.kind == Expr::Kind::Dim)
      result = INT32_MAX;
    else if (expr.kind == Expr::Kind::Unary && expr.unary == UnaryOp::Neg)
      result = of(0);
    else if (expr.kind == Expr::Kind::Select)
      result = std::max(of(1), of(2));
    else if (expr.kind == Expr::Kind::Binary)
      switch (expr.binary) {
      case BinaryOp::Add:
      case BinaryOp::Sub:
        result = of(0) + of(1);
        break;
      case BinaryOp::Mul:
        result = of(0) * of(1);
        break;
      case BinaryOp::Div:
      case BinaryOp::FloorDiv:
        result = of(0);
        break;
      case BinaryOp::Mod:
      case BinaryOp::FloorMod:
        result = of(1);
        break;
      case BinaryOp::Min:
      case BinaryOp::Max:
        result = std::max(of(0), of(1));
        break;
      default:
        break;
      }
    bounds.emplace(&expr, result);
    return result;
  }

  H::Expr node(const Expr &expr, Place at) {
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
      return load(expr, at);
    case Expr::Kind::Unary:
      return unaryOperation(expr, visit(expr.operands[0], at));
    case Expr::Kind::Binary:
      return binary(expr, at);
    case Expr::Kind::Select: {
      H::Expr a = visit(expr.operands[1], at.below()), b = visit(expr.operands[2], at.below());
      unify(a, b);
      return H::select(visit(expr.operands[0], at), a, b);
    }
    case Expr::Kind::Cast:
      return cast(expr, visit(expr.operands[0], at));
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
    H::Expr value = visit(expr, {guarded, /*index=*/true});
    H::Expr last = lowering.extent(tensor.shape[dim]) - 1;
    if (containsLoad(expr)) {
      last = H::cast(value.type(), last);
      value = H::clamp(value, H::Internal::make_zero(value.type()), last);
    } else if (guarded && expr->kind != Expr::Kind::Loop) {
      value = H::clamp(H::likely(value), 0, last);
    }
    return H::cast(H::Int(32), value);
  }

  H::Expr load(const Expr &expr, Place at) {
    const Tensor &tensor = lowering.spec.tensors[expr.integer];
    std::vector<H::Expr> indices;
    for (size_t i = expr.operands.size(); i-- > 0;)
      indices.push_back(index(tensor, i, expr.operands[i], at.guarded));
    if (tensor.panel) { // [K, N] -> (n % nr, k, n / nr)
      int nr = static_cast<int>(tensor.panel);
      indices = {indices[0] % nr, indices[1], indices[0] / nr};
    }
    H::Expr value = lowering.isInput(static_cast<int>(expr.integer))
                        ? H::Expr(lowering.inputs[expr.integer](indices))
                        : H::Expr(lowering.results.at(static_cast<int>(expr.integer))(indices));
    return tensor.type == ScalarType::Bool ? value != H::cast<uint8_t>(0) : value;
  }

  H::Expr binary(const Expr &expr, Place at) {
    H::Expr a = visit(expr.operands[0], at), b = visit(expr.operands[1], at);
    // Numbers made of positions are data here, and data of 64 bits does not wrap at 32.
    if (!at.index && expr.type == ScalarType::I64 && a.type() == H::Int(32) &&
        b.type() == H::Int(32) && bound(expr) > INT32_MAX)
      a = H::cast(H::Int(64), a);
    unify(a, b);
    // Of numbers that are not negative Halide's rounding (down) is truncation, and it simplifies.
    bool positive = !a.type().is_float() && isNonNegative(expr.operands[0], lowering.isSize) &&
                    isNonNegative(expr.operands[1], lowering.isSize);
    // Differences are taken as they are written: regrouped, x - mean would lose what is left of x.
    if (a.type().is_float() && (lowering.inOrder || expr.binary == BinaryOp::Sub)) {
      // This operation alone: strict_float would also forbid fused steps inside of functions.
      auto strictly = [&](H::Internal::Call::IntrinsicOp op) {
        return H::Internal::Call::make(a.type(), op, {a, b}, H::Internal::Call::PureIntrinsic);
      };
      if (expr.binary == BinaryOp::Add)
        return strictly(H::Internal::Call::strict_add);
      if (expr.binary == BinaryOp::Sub)
        return strictly(H::Internal::Call::strict_sub);
      if (expr.binary == BinaryOp::Mul)
        return strictly(H::Internal::Call::strict_mul);
    }
    if (!at.index && wraps(expr, a.type())) {
      H::Type bits = a.type().with_code(H::Type::UInt);
      return H::cast(a.type(), binaryOperation(expr, H::cast(bits, a), H::cast(bits, b), positive));
    }
    return binaryOperation(expr, a, b, positive);
  }

  /// Whether a sum, difference or product may leave its signed type, where it wraps around: what
  /// Halide takes for impossible.
  bool wraps(const Expr &expr, H::Type type) {
    bool leaves = expr.binary == BinaryOp::Add || expr.binary == BinaryOp::Sub ||
                  expr.binary == BinaryOp::Mul;
    return leaves && type.is_int() && type.bits() >= 32 &&
           bound(expr) > (type.bits() == 32 ? INT32_MAX : std::ldexp(1.0, 62));
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
    std::unordered_set<const Expr *> seen;
    if (expr.type == ScalarType::F16 && a.type() == H::Float(32) && readsWide(from, seen))
      return roundedToF16(a);
    if (a.type().is_bool() || expr.type != ScalarType::I64)
      return H::cast(storageType(expr.type), a);
    // An index that was I64 before stays int32 arithmetic; data is widened.
    return expr.operands[0]->type == ScalarType::I64 ? a : H::cast(H::Int(64), a);
  }

  /// Whether floats are computed of f32 or f64 in memory: no operation on f16, which is free to
  /// keep more than f16 for the next one.
  static bool readsWide(const Expr &expr, std::unordered_set<const Expr *> &seen) {
    bool isWide = expr.type == ScalarType::F32 || expr.type == ScalarType::F64;
    if (!isWide || !seen.insert(&expr).second)
      return false;
    return expr.kind == Expr::Kind::Load ||
           std::any_of(expr.operands.begin(), expr.operands.end(),
                       [&](const ExprRef &operand) { return readsWide(*operand, seen); });
  }

  /// A graph's own Cast to f16, which rounds and overflows. In fast-math a conversion there and
  /// back is none; LLVM does not see through what makes NaNs quiet, as they are.
  static H::Expr roundedToF16(const H::Expr &a) {
    H::Expr bits = H::reinterpret(H::UInt(16), H::cast(H::Float(16), a));
    H::Expr isNaN = (bits & H::cast<uint16_t>(0x7fff)) > H::cast<uint16_t>(0x7c00);
    return H::reinterpret(H::Float(16), H::select(isNaN, bits | H::cast<uint16_t>(0x200), bits));
  }
};

} // namespace

H::Expr Lowering::translate(const ExprRef &expr, const std::vector<H::Expr> &loops) const {
  return Translator{*this, loops, {}, {}}.visit(expr, {});
}

//===-------------------------------------------------------------------------------------===//
// Parameters and stages
//===-------------------------------------------------------------------------------------===//

Lowering::Lowering(const KernelSpec &spec, const Schedule &schedule, const TargetCpu &cpu)
    : spec(spec), schedule(schedule), cpu(cpu), isSize(findSizes(spec)) {
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

/// Whether `expr` depends on Loop(first) or a later one.
static bool usesLoopFrom(const ExprRef &expr, int64_t first) {
  if (expr->kind == Expr::Kind::Loop)
    return expr->integer >= first;
  return std::any_of(expr->operands.begin(), expr->operands.end(),
                     [&](const ExprRef &operand) { return usesLoopFrom(operand, first); });
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
    // Halide finds the domain by its variables in the definition: a body that is the same for all
    // of them (a broadcast) would be taken once.
    if (!usesLoopFrom(loop.body, loop.parallel))
      body = H::select(domain[0] >= 0, body, H::Internal::make_zero(type));
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

//===- KernelSpec.cpp - Building, rewriting and printing kernel specs ----------*- C++ -*-===//
//
// Constructors fold what index arithmetic leaves behind (x*1, x+0, constants), so that the text of
// two kernels that do the same is the same. The text names everything that reaches the object file.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/KernelSpec.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <unordered_map>

namespace rapt::kernels {

int64_t byteWidth(ScalarType type) {
  switch (type) {
  case ScalarType::Bool:
  case ScalarType::I8:
  case ScalarType::U8:
    return 1;
  case ScalarType::I16:
  case ScalarType::F16:
  case ScalarType::BF16:
    return 2;
  case ScalarType::I32:
  case ScalarType::F32:
    return 4;
  case ScalarType::I64:
  case ScalarType::F64:
    return 8;
  }
  return 0;
}

bool isFloat(ScalarType type) {
  return type == ScalarType::F32 || type == ScalarType::F64 || type == ScalarType::F16 ||
         type == ScalarType::BF16;
}

Extent Extent::operator*(const Extent &other) const {
  Extent product{factor * other.factor, dims};
  product.dims.insert(product.dims.end(), other.dims.begin(), other.dims.end());
  std::sort(product.dims.begin(), product.dims.end());
  return product;
}

//===-------------------------------------------------------------------------------------===//
// Constructors
//===-------------------------------------------------------------------------------------===//

static Expr blank(Expr::Kind kind, ScalarType type) {
  Expr expr;
  expr.kind = kind;
  expr.type = type;
  return expr;
}

static ExprRef seal(Expr expr) { return std::make_shared<const Expr>(std::move(expr)); }

ExprRef Expr::makeInt(int64_t value, ScalarType type) {
  Expr expr = blank(Kind::Int, type);
  expr.integer = value;
  return seal(std::move(expr));
}

ExprRef Expr::makeFloat(double value, ScalarType type) {
  Expr expr = blank(Kind::Float, type);
  expr.real = value;
  return seal(std::move(expr));
}

ExprRef Expr::makeLoop(int loop) {
  Expr expr = blank(Kind::Loop, ScalarType::I64);
  expr.integer = loop;
  return seal(std::move(expr));
}

ExprRef Expr::makeDim(int dim) {
  Expr expr = blank(Kind::Dim, ScalarType::I64);
  expr.integer = dim;
  return seal(std::move(expr));
}

ExprRef Expr::makeLoad(int tensor, ScalarType type, std::vector<ExprRef> indices) {
  Expr expr = blank(Kind::Load, type);
  expr.integer = tensor;
  expr.operands = std::move(indices);
  return seal(std::move(expr));
}

ExprRef Expr::makeUnary(UnaryOp op, ExprRef a) {
  bool boolean = op == UnaryOp::IsNan || (op == UnaryOp::Not && a->type == ScalarType::Bool);
  Expr expr = blank(Kind::Unary, boolean ? ScalarType::Bool : a->type);
  expr.unary = op;
  expr.operands = {std::move(a)};
  return seal(std::move(expr));
}

static int64_t floorDiv(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/// The value of `op` on two small constants of index arithmetic; none where it could overflow or
/// trap.
static std::optional<int64_t> foldIndices(BinaryOp op, int64_t a, int64_t b) {
  int64_t result;
  switch (op) {
  case BinaryOp::Add:
    return __builtin_add_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  case BinaryOp::Sub:
    return __builtin_sub_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  case BinaryOp::Mul:
    return __builtin_mul_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  case BinaryOp::Div:
    return b > 0 ? std::optional(a / b) : std::nullopt;
  case BinaryOp::Mod:
    return b > 0 ? std::optional(a % b) : std::nullopt;
  case BinaryOp::FloorDiv:
    return b > 0 ? std::optional(floorDiv(a, b)) : std::nullopt;
  case BinaryOp::FloorMod:
    return b > 0 ? std::optional(a - floorDiv(a, b) * b) : std::nullopt;
  case BinaryOp::Min:
    return std::min(a, b);
  case BinaryOp::Max:
    return std::max(a, b);
  default:
    return std::nullopt;
  }
}

static bool isInt(const ExprRef &expr, int64_t value) {
  return expr->kind == Expr::Kind::Int && expr->integer == value;
}

ExprRef Expr::makeBinary(BinaryOp op, ExprRef a, ExprRef b) {
  if (a->type == ScalarType::I64 && b->type == ScalarType::I64) {
    if (a->kind == Kind::Int && b->kind == Kind::Int)
      if (auto value = foldIndices(op, a->integer, b->integer))
        return makeInt(*value);
    if (op == BinaryOp::Add && isInt(a, 0))
      return b;
    if ((op == BinaryOp::Add || op == BinaryOp::Sub) && isInt(b, 0))
      return a;
    if (op == BinaryOp::Mul && (isInt(a, 0) || isInt(b, 1)))
      return a;
    if (op == BinaryOp::Mul && (isInt(b, 0) || isInt(a, 1)))
      return b;
    if ((op == BinaryOp::Div || op == BinaryOp::FloorDiv) && isInt(b, 1))
      return a;
    if ((op == BinaryOp::Mod || op == BinaryOp::FloorMod) && isInt(b, 1))
      return makeInt(0);
  }
  bool comparison = op >= BinaryOp::Eq;
  Expr expr = blank(Kind::Binary, comparison ? ScalarType::Bool : a->type);
  expr.binary = op;
  expr.operands = {std::move(a), std::move(b)};
  return seal(std::move(expr));
}

ExprRef Expr::makeSelect(ExprRef condition, ExprRef a, ExprRef b) {
  Expr expr = blank(Kind::Select, a->type);
  expr.operands = {std::move(condition), std::move(a), std::move(b)};
  return seal(std::move(expr));
}

ExprRef Expr::makeCast(ScalarType type, ExprRef a) {
  if (a->type == type)
    return a;
  Expr expr = blank(Kind::Cast, type);
  expr.operands = {std::move(a)};
  return seal(std::move(expr));
}

namespace {
/// Rebuilds an expression bottom up; shared subtrees are visited once and stay shared.
struct Substitution {
  const std::vector<ExprRef> &replacements;
  std::unordered_map<const Expr *, ExprRef> done;

  ExprRef visit(const ExprRef &expr) {
    if (expr->kind == Expr::Kind::Loop)
      return replacements[expr->integer];
    if (expr->operands.empty())
      return expr;
    if (auto found = done.find(expr.get()); found != done.end())
      return found->second;
    std::vector<ExprRef> operands;
    bool changed = false;
    for (const ExprRef &operand : expr->operands) {
      operands.push_back(visit(operand));
      changed |= operands.back() != operand;
    }
    ExprRef result = expr;
    if (changed && expr->kind == Expr::Kind::Binary) {
      result = Expr::makeBinary(expr->binary, operands[0], operands[1]);
    } else if (changed) {
      Expr copy = *expr;
      copy.operands = std::move(operands);
      result = seal(std::move(copy));
    }
    done.emplace(expr.get(), result);
    return result;
  }
};
} // namespace

ExprRef substituteLoops(const ExprRef &expr, const std::vector<ExprRef> &replacements) {
  return Substitution{replacements, {}}.visit(expr);
}

//===-------------------------------------------------------------------------------------===//
// Text
//===-------------------------------------------------------------------------------------===//

static const char *typeName(ScalarType type) {
  static const char *const names[] = {"bool", "i8",  "i16", "i32", "i64",
                                      "u8",   "f32", "f64", "f16", "bf16"};
  return names[static_cast<int>(type)];
}

static const char *unaryName(UnaryOp op) {
  static const char *const names[] = {"neg",   "abs",  "exp",   "log", "sqrt",
                                      "rsqrt", "erf",  "tanh",  "sin", "cos",
                                      "floor", "ceil", "round", "not", "isnan"};
  return names[static_cast<int>(op)];
}

static const char *binaryName(BinaryOp op) {
  static const char *const names[] = {
      "+",   "-",  "*",   "div", "rem", "floordiv", "mod", "min", "max", "pow",
      "and", "or", "xor", "==",  "!=",  "<",        "<=",  ">",   ">="};
  return names[static_cast<int>(op)];
}

static std::string printReal(double value) {
  char text[40];
  snprintf(text, sizeof text, "%.17g", value);
  return text;
}

static std::string printExtent(const Extent &extent) {
  std::string text;
  if (extent.factor != 1 || extent.isStatic())
    text = std::to_string(extent.factor);
  for (int dim : extent.dims)
    text += (text.empty() ? "d" : "*d") + std::to_string(dim);
  return text;
}

static std::string printExtents(const std::vector<Extent> &extents) {
  std::string text;
  for (const Extent &extent : extents)
    text += (text.empty() ? "" : ", ") + printExtent(extent);
  return "[" + text + "]";
}

namespace {
/// Prints a body as lines `%n = ...` for subtrees that are used twice, so that the text stays as
/// small as the graph.
struct Printer {
  std::string &text;
  std::unordered_map<const Expr *, int> uses;
  std::unordered_map<const Expr *, std::string> names;

  void count(const ExprRef &expr) {
    if (++uses[expr.get()] == 1)
      for (const ExprRef &operand : expr->operands)
        count(operand);
  }

  std::string print(const ExprRef &expr) {
    if (auto found = names.find(expr.get()); found != names.end())
      return found->second;
    std::string line = printNode(*expr);
    if (uses[expr.get()] < 2 || expr->operands.empty())
      return line;
    std::string name = "%" + std::to_string(names.size());
    text += "    " + name + " = " + line + "\n";
    names.emplace(expr.get(), name);
    return name;
  }

  std::string list(const std::vector<ExprRef> &operands) {
    std::string result;
    for (const ExprRef &operand : operands)
      result += (result.empty() ? "" : ", ") + print(operand);
    return result;
  }

  std::string printNode(const Expr &expr) {
    switch (expr.kind) {
    case Expr::Kind::Int:
      return std::to_string(expr.integer) +
             (expr.type == ScalarType::I64 ? "" : std::string(":") + typeName(expr.type));
    case Expr::Kind::Float:
      return printReal(expr.real) +
             (expr.type == ScalarType::F32 ? "" : std::string(":") + typeName(expr.type));
    case Expr::Kind::Loop:
      return "i" + std::to_string(expr.integer);
    case Expr::Kind::Dim:
      return "d" + std::to_string(expr.integer);
    case Expr::Kind::Load:
      return "t" + std::to_string(expr.integer) + "[" + list(expr.operands) + "]";
    case Expr::Kind::Unary:
      return std::string(unaryName(expr.unary)) + "(" + list(expr.operands) + ")";
    case Expr::Kind::Binary: {
      std::string lhs = print(expr.operands[0]), rhs = print(expr.operands[1]);
      return "(" + lhs + " " + binaryName(expr.binary) + " " + rhs + ")";
    }
    case Expr::Kind::Select:
      return "select(" + list(expr.operands) + ")";
    case Expr::Kind::Cast:
      return std::string(typeName(expr.type)) + "(" + list(expr.operands) + ")";
    }
    return "";
  }
};
} // namespace

static void printBody(std::string &text, const char *label, const ExprRef &body) {
  if (!body)
    return;
  Printer printer{text, {}, {}};
  printer.count(body);
  std::string result = printer.print(body);
  text += std::string("    ") + label + " " + result + "\n";
}

static void printAttention(std::string &text, const AttentionStage &attention) {
  static const char *const emptyRows[] = {"zero",      "mean",        "nan",
                                          "mask_mean", "either_mean", "causal_mean"};
  text += " attention batch=" + printExtent(attention.batch) +
          " queries=" + printExtent(attention.queries) + " keys=" + printExtent(attention.keys) +
          " heads=" + std::to_string(attention.heads) + "/" + std::to_string(attention.kvHeads) +
          " dims=" + std::to_string(attention.headDim) + "," + std::to_string(attention.valueDim) +
          " scale=" + printReal(attention.scale) + " softcap=" + printReal(attention.softcap) +
          " empty=" + emptyRows[static_cast<int>(attention.emptyRow)] + "\n";
  printBody(text, "query", attention.query);
  printBody(text, "key", attention.key);
  printBody(text, "value", attention.value);
  printBody(text, "bias", attention.bias);
  printBody(text, "mask", attention.mask);
  printBody(text, "sink", attention.sink);
  if (attention.causalOffset)
    printBody(text, "causal", *attention.causalOffset);
  if (attention.windowOffset)
    printBody(text, "window", *attention.windowOffset);
}

static void printLoop(std::string &text, const LoopStage &loop) {
  static const char *const reductions[] = {"map", "sum", "max", "min", "prod"};
  std::vector<Extent> outer(loop.loops.begin(), loop.loops.begin() + loop.parallel);
  std::vector<Extent> reduced(loop.loops.begin() + loop.parallel, loop.loops.end());
  text +=
      std::string(" ") + reductions[static_cast<int>(loop.reduction)] + " " + printExtents(outer);
  if (!reduced.empty())
    text += " over " + printExtents(reduced);
  text += "\n";
  printBody(text, "=", loop.body);
}

std::string KernelSpec::print() const {
  std::string text =
      "kernel dims=" + std::to_string(numDims) + " inputs=" + std::to_string(numInputs) + "\n";
  for (size_t i = 0; i < tensors.size(); ++i) {
    text += "  t" + std::to_string(i) + ": " + typeName(tensors[i].type) +
            printExtents(tensors[i].shape);
    if (tensors[i].panel)
      text += " panel=" + std::to_string(tensors[i].panel);
    text += "\n";
  }
  for (const Stage &stage : stages) {
    text += "  " + stage.name + ": t" + std::to_string(stage.result) + " =";
    if (stage.attention)
      printAttention(text, *stage.attention);
    else
      printLoop(text, stage.loop);
  }
  text += "  outputs";
  for (int output : outputs)
    text += " t" + std::to_string(output);
  return text + "\n";
}

static constexpr std::pair<Schedule::Variant, const char *> kVariants[] = {
    {Schedule::Variant::Strip, "strip"},
    {Schedule::Variant::Unfused, "unfused"},
    {Schedule::Variant::Decode, "decode"}};

const char *variantName(Schedule::Variant variant) {
  for (auto [known, name] : kVariants)
    if (known == variant)
      return name;
  return ""; // every variant is in the table
}

std::optional<Schedule::Variant> variantOf(const std::string &name) {
  for (auto [variant, known] : kVariants)
    if (name == known)
      return variant;
  return std::nullopt;
}

const KernelObject::Variant &variantFor(const std::vector<KernelObject::Variant> &variants,
                                        int64_t rows) {
  rows = std::max<int64_t>(rows, 1);
  int64_t largest = std::max<int64_t>(variants.back().maxTile, 1);
  int64_t tiles = (rows + largest - 1) / largest, tile = (rows + tiles - 1) / tiles;
  for (const KernelObject::Variant &variant : variants)
    if ((variant.maxTile == 0 || tile <= variant.maxTile) &&
        (variant.maxRows == 0 || rows <= variant.maxRows))
      return variant;
  return variants.back();
}

std::string Schedule::print() const {
  static const char *const recipes[] = {"reference", "gemm",      "matmul", "attention",
                                        "rows",      "pointwise", "loops"};
  std::string text =
      std::string(recipes[static_cast<int>(recipe)]) + " vector=" + std::to_string(vector);
  if (recipe == Recipe::Matmul)
    text += " tile_rows=" + std::to_string(tileRows) + " tile_cols=" + std::to_string(tileCols);
  if (recipe == Recipe::Gemm)
    text += " tile_rows=" + std::to_string(tileRows) + " tile_cols=" + std::to_string(tileCols) +
            " prefetch=" + std::to_string(prefetch) + " even_rows=" + std::to_string(evenRows);
  if (recipe == Recipe::Attention)
    text += std::string(" variant=") + variantName(variant) +
            " block_query=" + std::to_string(blockQuery) +
            (decodeQueries ? " decode_queries=" + std::to_string(decodeQueries) : "");
  return text + (parallel ? " parallel" : " serial");
}

static bool asksForSpecials(const Expr &expr) {
  if ((expr.kind == Expr::Kind::Float && !std::isfinite(expr.real)) ||
      (expr.kind == Expr::Kind::Unary && expr.unary == UnaryOp::IsNan))
    return true;
  return std::any_of(expr.operands.begin(), expr.operands.end(),
                     [](const ExprRef &operand) { return asksForSpecials(*operand); });
}

/// A maximum over nothing but -infinity that leaves the kernel must be -infinity: what reads it may
/// ask for that.
static bool givesExtremum(const KernelSpec &spec, const Stage &stage) {
  return (stage.loop.reduction == Reduction::Max || stage.loop.reduction == Reduction::Min) &&
         isFloat(spec.tensors[stage.result].type) &&
         std::find(spec.outputs.begin(), spec.outputs.end(), stage.result) != spec.outputs.end();
}

bool needsStrictFloat(const KernelSpec &spec) {
  return std::any_of(spec.stages.begin(), spec.stages.end(), [&](const Stage &stage) {
    return !stage.attention && (givesExtremum(spec, stage) || asksForSpecials(*stage.loop.body));
  });
}

} // namespace rapt::kernels

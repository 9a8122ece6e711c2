//===- VersionsSelection.cpp - Sizes that depend on data, and rearrangements ------------------===//
//
// NonZero, Compress and Unique make tensors whose sizes depend on what their operands hold. Of
// small constants they become constants, else onnx.NonZero and what reads its indices.
//
// Source: ONNX operator schemas, Changelog.md, opset 7 to 29.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/ShapeText.h"
#include "frontends/onnx/AttentionForm.h"
#include "frontends/onnx/Constants.h"
#include "frontends/onnx/Slice.h"
#include "frontends/onnx/Versions.h"

#include "llvm/ADT/Sequence.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace rapt::onnx {

namespace {
SmallVector<int64_t> dimsOfConstant(Value value) {
  return SmallVector<int64_t>(cast<RankedTensorType>(value.getType()).getShape());
}

bool isZero(const Element &element) {
  return element.kind == Element::Float ? element.number == 0 : element.expr.is(0);
}

/// i64 numbers of shape `dims`, which may have none; null after an error.
Value makeIndices(NodeBuilder &b, ArrayRef<int64_t> values, ArrayRef<int64_t> dims) {
  auto type = RankedTensorType::get(dims, b.ops().getI64Type());
  return b.stopped() ? Value() : b.makeConstant(DenseElementsAttr::get(type, values));
}

void upgradeNonZero(NodeBuilder &b) {
  Value x = b.in(0);
  if (b.stopped())
    return;
  int64_t rank = b.rank(x);
  // Known to hold one number that is not zero, of any size: every index.
  std::optional<double> all = b.number(x);
  if (all && *all != 0 && rank > 0) {
    Value count = unary<SizeOp>(b, x), zero = scalarInt(b, 0), one = scalarInt(b, 1);
    Value rest = b.stopped() ? Value() : b.make<RangeOp>(zero, count, one);
    SmallVector<Value> rows(rank);
    for (int64_t axis = rank - 1; axis >= 0 && !b.stopped(); --axis) {
      Value size = scalarDimOf(b, x, axis), quotient = binary<DivOp>(b, rest, size);
      rows[axis] = unsqueeze(b, binary<SubOp>(b, rest, binary<MulOp>(b, quotient, size)), {0});
      rest = quotient;
    }
    return b.out(0, b.stopped() ? Value() : b.make<ConcatOp>(rows, 0));
  }
  if (!b.isConstant(x)) {
    if (rank == 0)
      return b.unsupported("of a scalar that is no constant");
    return b.out(0, b.nonZero(x));
  }
  ArrayRef<Element> elements = b.elements(x);
  SmallVector<int64_t> dims = dimsOfConstant(x);
  SmallVector<SmallVector<int64_t>> rows(rank);
  int64_t count = 0, at = 0;
  forEachIndex(dims, [&](ArrayRef<int64_t> index) {
    if (isZero(elements[at++]))
      return;
    for (auto [row, i] : llvm::zip(rows, index))
      row.push_back(i);
    ++count;
  });
  SmallVector<int64_t> flat;
  for (const auto &row : rows)
    flat.append(row);
  b.out(0, makeIndices(b, flat, {rank, count}));
}

void upgradeCompress(NodeBuilder &b) {
  Value x = b.in(0), condition = b.in(1);
  if (b.stopped())
    return;
  if (b.rank(condition) != 1)
    return b.error("input 'condition' has rank " + Twine(b.rank(condition)) + ", expected 1");
  int64_t axis = b.normalized(b.intAttr("axis", 0), b.rank(x));
  if (!b.has("axis")) {
    x = reshapeTo(b, x, {-1});
    axis = 0;
  }
  if (b.stopped())
    return;
  Value indices;
  if (b.isConstant(condition)) {
    SmallVector<int64_t> kept;
    for (auto [i, element] : llvm::enumerate(b.elements(condition)))
      if (!isZero(element))
        kept.push_back(i);
    indices = makeIndices(b, kept, {static_cast<int64_t>(kept.size())});
  } else {
    indices = squeeze(b, b.nonZero(condition), {0});
  }
  b.out(0, b.stopped() ? Value() : b.make<GatherOp>(x, indices, axis));
}

/// NaN comes last, and all NaN are equal.
bool isLess(const Element &a, const Element &b) {
  if (a.kind != Element::Float)
    return *a.expr.constant() < *b.expr.constant();
  return a.number < b.number || (std::isnan(b.number) && !std::isnan(a.number));
}

/// Unique along `axis` of an operand that is no constant.
void findUnique(NodeBuilder &b, Value x, int64_t axis, bool sorts) {
  SmallVector<int64_t> perm = otherAxes({axis}, b.rank(x));
  perm.insert(perm.begin(), axis);
  Value rows = b.rank(x) == 1 ? unsqueeze(b, x, {1}) : reshapeTo(b, transpose(b, x, perm), {0, -1});
  if (b.stopped())
    return;
  auto found = RankRowsOp::create(b.ops(), b.location(), rows.getType(), rows.getType(), rows);
  if (!b.finish(found))
    return;
  Value ranks = found.getRanks(), firsts = found.getFirsts(), size = scalarDimOf(b, rows, 0);
  // Where each group begins, in the order of the operand.
  Value starts = squeeze(b, b.nonZero(binary<EqualOp>(b, firsts, iota(b, size, 0, 1))), {0});
  Value groups = scalarDimOf(b, starts, 0);
  auto filled = [&](Value like, int64_t value) -> Value {
    Value dims = shapeOf(b, like);
    return b.stopped() ? Value() : b.make<ExpandOp>(scalarInt(b, value), dims);
  };
  auto scatter = [&](Value data, Value indices, Value updates, StringRef reduction) -> Value {
    return b.stopped() ? Value() : b.make<ScatterElementsOp>(data, indices, updates, 0, reduction);
  };
  auto gather = [&](Value data, Value indices, int64_t along) -> Value {
    return b.stopped() ? Value() : b.make<GatherOp>(data, indices, along);
  };
  Value inverse = ranks, none = filled(starts, 0);
  if (sorts)
    starts = scatter(none, gather(ranks, starts, 0), starts, "none");
  else
    inverse = gather(scatter(filled(firsts, 0), starts, iota(b, groups, 0, 1), "none"), firsts, 0);
  b.out(0, gather(x, starts, axis));
  b.out(1, starts);
  b.out(2, inverse);
  b.out(3, scatter(none, inverse, filled(firsts, 1), "add"));
}

void upgradeUnique(NodeBuilder &b) {
  Value x = b.in(0);
  bool sorts = b.flagAttr("sorted", true), hasAxis = b.has("axis");
  int64_t axis = hasAxis ? b.normalized(b.intAttr("axis", 0), b.rank(x)) : 0;
  if (!hasAxis && !b.stopped())
    x = reshapeTo(b, x, {-1});
  if (b.stopped())
    return;
  if (!b.isConstant(x))
    return findUnique(b, x, axis, sorts);
  ArrayRef<Element> elements = b.elements(x);
  // Each slice along the axis as one row of elements.
  SmallVector<int64_t> dims = dimsOfConstant(x);
  std::vector<std::vector<Element>> slices(dims[axis]);
  int64_t at = 0;
  forEachIndex(dims,
               [&](ArrayRef<int64_t> index) { slices[index[axis]].push_back(elements[at++]); });
  auto below = [&](int64_t i, int64_t j) {
    return std::lexicographical_compare(slices[i].begin(), slices[i].end(), slices[j].begin(),
                                        slices[j].end(), isLess);
  };
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, slices.size()));
  llvm::sort(order, [&](int64_t i, int64_t j) { return below(i, j) || (i < j && !below(j, i)); });
  SmallVector<int64_t> first; // of each group, its first slice
  for (auto [i, slice] : llvm::enumerate(order))
    if (i == 0 || below(order[i - 1], slice))
      first.push_back(slice);
  if (!sorts)
    llvm::sort(first);
  int64_t groups = first.size();
  SmallVector<int64_t> inverse(slices.size()), counts(groups, 0);
  for (int64_t slice = 0, end = slices.size(); slice < end; ++slice)
    for (int64_t group = 0; group < groups; ++group)
      if (!below(slice, first[group]) && !below(first[group], slice)) {
        inverse[slice] = group;
        ++counts[group];
      }
  Value firsts = makeIndices(b, first, {groups});
  b.out(0, b.stopped() ? Value() : b.make<GatherOp>(x, firsts, axis));
  b.out(1, firsts);
  b.out(2, makeIndices(b, inverse, {static_cast<int64_t>(inverse.size())}));
  b.out(3, makeIndices(b, counts, {groups}));
}

// --- Rearrangements -----
/// Attribute `name` with `count` numbers.
SmallVector<int64_t> numbersOf(NodeBuilder &b, StringRef name, size_t count, int64_t otherwise) {
  std::optional<SmallVector<int64_t>> given = b.intsAttr(name);
  if (given && given->size() != count)
    b.error("attribute '" + name + "' has " + Twine(given->size()) + " elements, expected " +
            Twine(count));
  return given && !b.stopped() ? *given : SmallVector<int64_t>(count, otherwise);
}

/// x [N, C * K, L]: column l holds the K elements of block l. Adding up where blocks overlap is
/// what ConvTranspose does with a kernel that puts element k at place k of the block.
void upgradeCol2Im(NodeBuilder &b) {
  Value x = b.in(0);
  SmallVector<int64_t> image = b.constants(1, "image_shape"), block = b.constants(2, "block_shape");
  size_t spatial = image.size();
  SmallVector<int64_t> dilations = numbersOf(b, "dilations", spatial, 1);
  SmallVector<int64_t> pads = numbersOf(b, "pads", 2 * spatial, 0);
  SmallVector<int64_t> strides = numbersOf(b, "strides", spatial, 1);
  if (b.stopped())
    return;
  if (b.rank(x) != 3 || block.size() != spatial || spatial == 0)
    return b.error("input has rank " + Twine(b.rank(x)) + " and image_shape and block_shape have " +
                   Twine(spatial) + " and " + Twine(block.size()) +
                   " elements, expected rank 3 and the same number");
  constexpr int64_t kMaxBlock = 4096;
  int64_t elements = 1;
  SmallVector<int64_t> blocks, extra;
  for (size_t i = 0; i < spatial; ++i) {
    auto expect = [&](StringRef name, int64_t value, int64_t least, int64_t most) {
      if (!b.stopped() && (value < least || value > most))
        b.error("'" + name + "' of dim " + Twine(i) + " is " + Twine(value) + ", expected " +
                Twine(least) + " to " + Twine(most));
    };
    expect("image_shape", image[i], 1, INT32_MAX);
    expect("block_shape", block[i], 1, kMaxBlock);
    expect("strides", strides[i], 1, INT32_MAX);
    expect("dilations", dilations[i], 1, INT32_MAX);
    expect("pads", pads[i], 0, INT32_MAX);
    expect("pads", pads[spatial + i], 0, INT32_MAX);
    if (b.stopped())
      return;
    if ((elements *= block[i]) > kMaxBlock)
      return b.error("'block_shape' has more than " + Twine(kMaxBlock) + " elements");
    int64_t room = image[i] + pads[i] + pads[spatial + i] - (dilations[i] * (block[i] - 1) + 1);
    if (room < 0)
      return b.error("image_shape of dim " + Twine(i) + " is " + Twine(image[i]) +
                     ", expected at least the size of a block");
    blocks.push_back(room / strides[i] + 1);
    extra.push_back(room % strides[i]);
  }
  int64_t rows = cast<RankedTensorType>(x.getType()).getDimSize(1);
  if (ShapedType::isDynamic(rows))
    return b.unsupported("the number of channels is not static");
  if (rows % elements != 0 || rows / elements > kMaxBlock)
    return b.error("dim 1 of the input is " + Twine(rows) + ", expected up to " + Twine(kMaxBlock) +
                   " channels times the " + Twine(elements) + " elements of a block");
  int64_t channels = rows / elements;
  SmallVector<int64_t> split{0, 0}, kernel{rows, 1};
  split.append(blocks);
  kernel.append(block);
  // Row r of a group is 1 at place r of the block.
  Value eye = binary<EqualOp>(b, iota(b, scalarInt(b, elements), 0, 2),
                              iota(b, scalarInt(b, elements), 1, 2));
  Value shape = b.makeInts({channels, elements, elements});
  Value weight = b.stopped() ? Value() : b.make<ExpandOp>(castTo(b, eye, b.elementType(x)), shape);
  weight = reshapeTo(b, weight, kernel);
  Value folded = reshapeTo(b, x, split);
  if (!b.stopped())
    b.out(0, b.make<ConvTransposeOp>(folded, weight, Value(), pads, strides, dilations, extra,
                                     channels));
}

/// Every element of x at its index in the flattened result, the others zero. Indices count in
/// output_shape where that is given, as in onnxruntime, torch and ONNX's tests from 1.24 on.
void upgradeMaxUnpool(NodeBuilder &b) {
  Value x = b.in(0), indices = b.in(1);
  std::optional<SmallVector<int64_t>> kernel = b.intsAttr("kernel_shape");
  int64_t rank = b.rank(x);
  if (b.stopped())
    return;
  if (rank < 3 || !kernel || static_cast<int64_t>(kernel->size()) != rank - 2)
    return b.error("input has rank " + Twine(rank) + " and attribute 'kernel_shape' " +
                   Twine(kernel ? kernel->size() : 0) +
                   " elements, expected rank 3 or more and two elements less");
  SmallVector<int64_t> pads = numbersOf(b, "pads", 2 * kernel->size(), 0);
  SmallVector<int64_t> strides = numbersOf(b, "strides", kernel->size(), 1);
  Value shape = b.optional(2);
  if (!shape) {
    SmallVector<Value> sizes{dimsOf(b, x, 0, 2)};
    for (int64_t i = 0; i < rank - 2 && !b.stopped(); ++i) {
      Value steps = binary<SubOp>(b, dimOf(b, x, i + 2), b.makeInts({1}));
      Value size = binary<MulOp>(b, steps, b.makeInts({strides[i]}));
      sizes.push_back(binary<AddOp>(b, size, b.makeInts({(*kernel)[i]})));
      for (int64_t pad : {pads[i], pads[rank - 2 + i]})
        sizes.back() = binary<SubOp>(b, sizes.back(), b.makeInts({pad}));
    }
    shape = joinDims(b, sizes);
  }
  if (b.stopped())
    return;
  auto type = cast<RankedTensorType>(shape.getType());
  if (type.getRank() != 1 || type.getDimSize(0) != rank)
    return b.error("input 'output_shape' is " + typeText(b.analysis(), shape) + ", expected " +
                   Twine(rank) + " numbers, one for each dim of the input");
  auto filler = DenseElementsAttr::get(RankedTensorType::get({1}, b.elementType(x)),
                                       b.ops().getZeroAttr(b.elementType(x)));
  if (b.stopped())
    return;
  Value zeros = b.makeTyped<ConstantOfShapeOp>(b.elementType(x), shape, filler);
  Value flat = reshapeTo(b, zeros, {-1}), places = reshapeTo(b, indices, {-1});
  Value values = reshapeTo(b, x, {-1});
  if (b.stopped())
    return;
  Value result = b.make<ScatterElementsOp>(flat, places, values, 0, "none");
  b.out(0, reshape(b, result, shape));
}

/// The determinant of the rows from `row` on and these columns of x, by its first row.
Value determinant(NodeBuilder &b, Value x, int64_t row, ArrayRef<int64_t> columns) {
  int64_t rank = b.rank(x);
  auto element = [&](int64_t column) -> Value {
    Value one = slice(b, slice(b, x, rank - 2, row, row + 1), rank - 1, column, column + 1);
    return squeeze(b, one, {rank - 2, rank - 1});
  };
  if (columns.size() == 1)
    return element(columns[0]);
  Value sum;
  for (auto [i, column] : llvm::enumerate(columns)) {
    SmallVector<int64_t> others(columns);
    others.erase(others.begin() + i);
    Value term = binary<MulOp>(b, element(column), determinant(b, x, row + 1, others));
    sum = !sum ? term : i % 2 ? binary<SubOp>(b, sum, term) : binary<AddOp>(b, sum, term);
  }
  return sum;
}

void upgradeDet(NodeBuilder &b) {
  Value x = b.in(0);
  int64_t rank = b.rank(x);
  expectFloat(b, x, "X");
  if (b.stopped())
    return;
  if (rank < 2)
    return b.error("input has rank " + Twine(rank) + ", expected at least 2");
  auto type = cast<RankedTensorType>(x.getType());
  int64_t rows = type.getDimSize(rank - 2), columns = type.getDimSize(rank - 1);
  if (rows != columns && !ShapedType::isDynamic(rows) && !ShapedType::isDynamic(columns))
    return b.error("matrices are " + Twine(rows) + " by " + Twine(columns) + ", expected squares");
  if (ShapedType::isDynamic(rows) || ShapedType::isDynamic(columns) || rows < 1 || rows > 4)
    return b.unsupported("matrices of a size that is not static, or not 1 to 4");
  b.out(0, determinant(b, x, 0, llvm::to_vector(llvm::seq<int64_t>(0, rows))));
}
} // namespace

void addSelection(std::vector<Operator> &table) {
  constexpr llvm::StringLiteral found = "not in the body of a loop";
  table.insert(
      table.end(),
      {
          {"Col2Im", 18, "float", "shapes must be constant; becomes ConvTranspose", upgradeCol2Im},
          {"Compress", 9, "float, int, bool", found, upgradeCompress},
          {"Det", 11, "float", "matrices of up to 4 rows", upgradeDet},
          {"MaxUnpool", 9, "float", "becomes ScatterElements", upgradeMaxUnpool},
          {"NonZero", 9, "float, int, bool", found, upgradeNonZero},
          {"Unique", 11, "float, int, bool", found, upgradeUnique},
      });
}

} // namespace rapt::onnx

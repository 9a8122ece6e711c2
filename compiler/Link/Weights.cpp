//===- Weights.cpp - The bytes of a model's weights -------------------------------------===//
//
// weight = concatenate(transpose(source, perm)..., concat_dim), row-major or in panels
// [ceil(N / nr)][K][nr]. Each source is seen through the strides that its transposition gives it.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/Weights.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace mlir;
using namespace rapt;
using namespace rapt::host;

namespace {

/// One source as part of the weight: element (i0, i1, ...) is at data + sum of i * strides (bytes).
struct Segment {
  ArrayRef<char> data;
  SmallVector<char> unpacked; // what `data` shows when the attribute's own form has to be changed
  SmallVector<int64_t> shape, strides;
  int64_t begin = 0; // along the concatenated dim
};

llvm::Error wrongSource(Attribute source, const Twine &reason) {
  return llvm::createStringError("weight of type " + [&] {
    std::string text;
    llvm::raw_string_ostream(text) << cast<ElementsAttr>(source).getShapedType();
    return text;
  }() + " " + reason);
}

llvm::Error readSource(Attribute source, int64_t width, Segment &segment, bool &isSplat) {
  int64_t elements = cast<ElementsAttr>(source).getNumElements();
  isSplat = false;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(source)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return wrongSource(source, "has no data");
    segment.data = blob->getData();
  } else if (auto dense = dyn_cast<DenseElementsAttr>(source)) {
    isSplat = dense.isSplat() && elements > 0;
    segment.data = dense.getRawData();
    if (dense.getElementType().isInteger(1)) { // kept as bits, but a buffer has a byte for each
      for (bool value : dense.getValues<bool>()) {
        segment.unpacked.push_back(value);
        if (isSplat)
          break;
      }
      segment.data = segment.unpacked;
    }
  } else {
    return wrongSource(source, "is neither dense nor a dense resource");
  }
  int64_t expected = (isSplat ? 1 : elements) * width;
  if (static_cast<int64_t>(segment.data.size()) != expected)
    return wrongSource(source, "has " + Twine(segment.data.size()) + " bytes of data, expected " +
                                   Twine(expected));
  return llvm::Error::success();
}

/// Passes bytes on, and says every few megabytes that they were read.
class Sink {
public:
  Sink(llvm::raw_ostream &stream, const std::function<void()> &wereRead)
      : stream(stream), wereRead(wereRead) {}

  void write(const char *bytes, uint64_t count) {
    while (count > 0) {
      uint64_t some = std::min(count, kMost - sinceCall);
      stream.write(bytes, some);
      bytes += some;
      count -= some;
      sinceCall += some;
      if (sinceCall == kMost) {
        if (wereRead)
          wereRead();
        sinceCall = 0;
      }
    }
  }

private:
  static constexpr uint64_t kMost = 16 << 20;
  llvm::raw_ostream &stream;
  const std::function<void()> &wereRead;
  uint64_t sinceCall = 0;
};

class Writer {
public:
  Writer(const WeightEntry &weight, Sink &sink)
      : weight(weight), sink(sink), width(elementBytes(weight.type.getElementType())) {}

  llvm::Error write() {
    segments.resize(weight.sources.size());
    int64_t begin = 0;
    for (auto [index, source] : llvm::enumerate(weight.sources)) {
      if (llvm::Error error = open(source, segments[index]))
        return error;
      segments[index].begin = begin;
      begin += weight.type.getRank() ? segments[index].shape[weight.concatDim] : 0;
    }
    if (weight.panel > 0)
      writePanels();
    else
      writeConcatenation(0, SmallVector<int64_t>(segments.size(), 0));
    return llvm::Error::success();
  }

private:
  llvm::Error open(Attribute source, Segment &segment) {
    bool isSplat;
    if (llvm::Error error = readSource(source, width, segment, isSplat))
      return error;
    ArrayRef<int64_t> shape = cast<ElementsAttr>(source).getShapedType().getShape();
    int64_t rank = shape.size(), stride = width;
    SmallVector<int64_t> strides(rank, 0);
    for (int64_t dim = rank - 1; dim >= 0 && !isSplat; stride *= shape[dim--])
      strides[dim] = stride;
    for (int64_t dim = 0; dim < rank; ++dim) {
      int64_t from = weight.perm.empty() ? dim : weight.perm[dim];
      segment.shape.push_back(shape[from]);
      segment.strides.push_back(strides[from]);
    }
    return llvm::Error::success();
  }

  /// Loops over the dims before the concatenated one; inside, the segments follow each other.
  void writeConcatenation(int64_t dim, SmallVector<int64_t> offsets) {
    if (dim == weight.concatDim || weight.type.getRank() == 0) {
      for (auto [segment, offset] : llvm::zip(segments, offsets))
        writeBlock(segment, dim, offset);
      return;
    }
    for (int64_t i = 0; i < weight.type.getDimSize(dim); ++i) {
      writeConcatenation(dim + 1, offsets);
      for (auto [segment, offset] : llvm::zip(segments, offsets))
        offset += segment.strides[dim];
    }
  }

  /// The dims from `dim` on of one segment, a run of the source or a gathered row at a time.
  void writeBlock(const Segment &segment, int64_t dim, int64_t offset) {
    int64_t rank = segment.shape.size(), run = width, inner = rank;
    while (inner > dim && segment.strides[inner - 1] == run)
      run *= segment.shape[--inner];
    if (inner == dim) {
      sink.write(segment.data.data() + offset, run);
      return;
    }
    if (dim + 1 < rank) {
      for (int64_t i = 0; i < segment.shape[dim]; ++i)
        writeBlock(segment, dim + 1, offset + i * segment.strides[dim]);
      return;
    }
    row.resize(segment.shape[dim] * width);
    for (int64_t i = 0; i < segment.shape[dim]; ++i)
      std::memcpy(row.data() + i * width, segment.data.data() + offset + i * segment.strides[dim],
                  width);
    sink.write(row.data(), row.size());
  }

  /// [ceil(N / nr)][K][nr]: columns n of rows k, zero past N.
  void writePanels() {
    int64_t rows = weight.type.getDimSize(0), columns = weight.type.getDimSize(1),
            nr = weight.panel;
    std::vector<const Segment *> segmentOf; // of each index along the concatenated dim
    for (const Segment &segment : segments)
      segmentOf.insert(segmentOf.end(), segment.shape[weight.concatDim], &segment);
    row.resize(nr * width);
    for (int64_t first = 0; first < columns; first += nr)
      for (int64_t k = 0; k < rows; ++k) {
        std::fill(row.begin(), row.end(), 0);
        for (int64_t n = first; n < std::min(first + nr, columns); ++n) {
          const Segment &segment = *segmentOf[weight.concatDim == 0 ? k : n];
          int64_t ownRow = k - (weight.concatDim == 0 ? segment.begin : 0);
          int64_t ownColumn = n - (weight.concatDim == 1 ? segment.begin : 0);
          std::memcpy(row.data() + (n - first) * width,
                      segment.data.data() + ownRow * segment.strides[0] +
                          ownColumn * segment.strides[1],
                      width);
        }
        sink.write(row.data(), row.size());
      }
  }

  const WeightEntry &weight;
  Sink &sink;
  int64_t width;
  std::vector<Segment> segments;
  std::vector<char> row;
};

} // namespace

uint64_t link::weightBytes(const std::vector<WeightEntry> &weights) {
  return weights.empty() ? 0 : llvm::alignTo(weights.back().offset + weights.back().bytes(), 64);
}

llvm::Error link::writeWeights(const std::vector<WeightEntry> &weights, llvm::raw_ostream &stream,
                               const std::function<void()> &wereRead) {
  Sink sink(stream, wereRead);
  uint64_t position = 0;
  for (const WeightEntry &weight : weights) {
    stream.write_zeros(weight.offset - position);
    if (llvm::Error error = Writer(weight, sink).write())
      return error;
    position = weight.offset + weight.bytes();
  }
  stream.write_zeros(weightBytes(weights) - position);
  return llvm::Error::success();
}

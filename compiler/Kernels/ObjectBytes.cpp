//===- ObjectBytes.cpp - A KernelObject as bytes -------------------------------*- C++ -*-===//
//
// What the compiling child answers to its parent, and what the kernel cache keeps.
//
//===-------------------------------------------------------------------------------------===//
#include "compiler/Kernels/ObjectBytes.h"

#include <cstring>

namespace rapt::kernels {

namespace {

struct Writer {
  std::string bytes;

  void integer(int64_t value) {
    bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
  }
  void string(const std::string &value) {
    integer(value.size());
    bytes += value;
  }
  void extent(const Extent &extent) {
    integer(extent.factor);
    integer(extent.dims.size());
    for (int dim : extent.dims)
      integer(dim);
  }
};

/// `ok` turns false at the first byte that is missing.
struct Reader {
  std::string_view bytes;
  bool ok = true;

  int64_t integer() {
    int64_t value = 0;
    if (!ok || bytes.size() < sizeof value)
      return ok = false;
    memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
    return value;
  }
  std::string string() {
    uint64_t size = integer();
    if (!ok || bytes.size() < size)
      return ok = false, std::string();
    std::string value(bytes.substr(0, size));
    bytes.remove_prefix(size);
    return value;
  }
  Extent extent() {
    Extent extent{integer(), {}};
    for (int64_t left = integer(); ok && left > 0; --left)
      extent.dims.push_back(integer());
    return extent;
  }
};

} // namespace

std::string toBytes(const KernelObject &object) {
  Writer writer;
  writer.integer(object.variants.size());
  for (const KernelObject::Variant &variant : object.variants) {
    writer.string(variant.symbol);
    writer.integer(variant.maxTile);
    writer.integer(variant.maxRows);
  }
  writer.extent(object.rows);
  writer.integer(object.scratchBytes.size());
  for (const Extent &extent : object.scratchBytes)
    writer.extent(extent);
  writer.integer(object.innerElements.size());
  for (const std::vector<Extent> &sum : object.innerElements) {
    writer.integer(sum.size());
    for (const Extent &extent : sum)
      writer.extent(extent);
  }
  writer.string(object.object);
  return std::move(writer.bytes);
}

bool fromBytes(std::string_view bytes, KernelObject &object) {
  Reader reader{bytes};
  object = {};
  for (int64_t left = reader.integer(); reader.ok && left > 0; --left) {
    KernelObject::Variant &variant = object.variants.emplace_back();
    variant.symbol = reader.string();
    variant.maxTile = reader.integer();
    variant.maxRows = reader.integer();
  }
  object.rows = reader.extent();
  for (int64_t left = reader.integer(); reader.ok && left > 0; --left)
    object.scratchBytes.push_back(reader.extent());
  for (int64_t left = reader.integer(); reader.ok && left > 0; --left) {
    object.innerElements.emplace_back();
    for (int64_t terms = reader.integer(); reader.ok && terms > 0; --terms)
      object.innerElements.back().push_back(reader.extent());
  }
  object.object = reader.string();
  return reader.ok;
}

} // namespace rapt::kernels

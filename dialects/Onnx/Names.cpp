//===- Names.cpp - What the ONNX graph calls things ------------------------------------===//
//
// A location may be fused from those of several nodes: the first name found in it counts.
//
//===-------------------------------------------------------------------------------------===//

#include "dialects/Onnx/Names.h"

#include "mlir/IR/Operation.h"

using namespace mlir;

namespace rapt::onnx {

static std::string firstName(Location location) {
  std::string name;
  location->walk([&](Location inner) {
    auto named = dyn_cast<NameLoc>(inner);
    if (!named)
      return WalkResult::advance();
    name = named.getName().str();
    return WalkResult::interrupt();
  });
  return name;
}

std::string nodeName(Location location) {
  std::string name = firstName(location);
  return name.empty() ? "<unnamed>" : name;
}

std::string nodeName(Operation *op) {
  std::string name = firstName(op->getLoc());
  return name.empty() ? op->getName().getStringRef().str() : name;
}

static std::string described(const std::string &name) {
  return llvm::StringRef(name).starts_with("node #") ? name : "node '" + name + "'";
}

std::string nodeText(Location location) { return described(nodeName(location)); }

std::string nodeText(Operation *op) { return described(nodeName(op)); }

} // namespace rapt::onnx

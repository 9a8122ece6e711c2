//===- Descriptor.cpp - The rapt_abi_model of an artifact -------------------------------===//
//
// The structs of runtime/include/rapt_abi.h as LLVM constants, fields in the order of the header;
// their layout is C's on x86-64, where LLVM's default layout of the same types agrees.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/Descriptor.h"

#include "compiler/Host/Host.h"
#include "runtime/include/rapt_abi.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Module.h"

using namespace llvm;
using namespace rapt;

namespace {

class Builder {
public:
  explicit Builder(Module &module) : module(module), context(module.getContext()) {}

  Constant *i32(int64_t value) { return ConstantInt::get(Type::getInt32Ty(context), value); }
  Constant *i64(int64_t value) { return ConstantInt::get(Type::getInt64Ty(context), value); }
  Constant *null() { return ConstantPointerNull::get(PointerType::get(context, 0)); }

  GlobalVariable *global(Constant *value, GlobalValue::LinkageTypes linkage, const Twine &name) {
    return new GlobalVariable(module, value->getType(), /*isConstant=*/true, linkage, value, name);
  }
  Constant *hidden(Constant *value) {
    return global(value, GlobalValue::PrivateLinkage, "rapt_table");
  }
  Constant *text(StringRef value) {
    Constant *&known = texts[value];
    if (!known)
      known = hidden(ConstantDataArray::getString(context, value));
    return known;
  }
  Constant *record(ArrayRef<Constant *> fields) { return ConstantStruct::getAnon(context, fields); }

  /// Pointer to an array of the entries; null when there are none.
  Constant *table(ArrayRef<Constant *> entries) {
    if (entries.empty())
      return null();
    return hidden(
        ConstantArray::get(ArrayType::get(entries[0]->getType(), entries.size()), entries));
  }

  Constant *tensors(const std::vector<host::InterfaceTensor> &list) {
    SmallVector<Constant *> entries;
    for (const host::InterfaceTensor &tensor : list) {
      SmallVector<Constant *> dims;
      for (const host::InterfaceDim &dim : tensor.dims)
        dims.push_back(record({i64(dim.value), text(dim.text)}));
      entries.push_back(
          record({text(tensor.name), i32(tensor.dtype), i32(dims.size()), table(dims)}));
    }
    return table(entries);
  }

  /// A read-only section on pages of its own, so that processes share them. It has a size and no
  /// bytes: those come after linking (Embed.h).
  Constant *weights(uint64_t bytes) {
    module.appendModuleInlineAsm((".section " + link::kWeightsSection +
                                  ",\"a\",@nobits\n"
                                  ".p2align 12\n"
                                  ".hidden rapt_weights\n"
                                  ".globl rapt_weights\n"
                                  "rapt_weights:\n"
                                  ".zero " +
                                  Twine(bytes) + "\n.text\n")
                                     .str());
    auto *symbol = new GlobalVariable(module, Type::getInt8Ty(context), /*isConstant=*/true,
                                      GlobalValue::ExternalLinkage, nullptr, "rapt_weights");
    symbol->setVisibility(GlobalValue::HiddenVisibility);
    symbol->setDSOLocal(true);
    return symbol;
  }

  Constant *calls(const host::CallTable &table) {
    SmallVector<Constant *> entries;
    for (const host::CallTable::Call &call : table.calls) {
      const host::CallTable::Kernel &kernel = table.kernels[call.kernel];
      entries.push_back(record({text(kernel.name), text(kernel.schedule), text(call.node)}));
    }
    return this->table(entries);
  }

private:
  Module &module;
  LLVMContext &context;
  StringMap<Constant *> texts;
};

} // namespace

Error link::addDescriptor(Module &module, const host::Interface &interface,
                          const host::CallTable &calls, const ModelFacts &facts) {
  Function *plan = module.getFunction(host::kPlanName), *run = module.getFunction(host::kRunName),
           *work = module.getFunction(host::kWorkName);
  if (!plan || !run || !work)
    return createStringError("the host module lacks '" + Twine(host::kPlanName) + "', '" +
                             host::kRunName + "' or '" + host::kWorkName + "'");
  Builder b(module);
  SmallVector<Constant *> symbols, least;
  for (const std::string &name : interface.symbols)
    symbols.push_back(b.text(name));
  for (int32_t number : interface.least)
    least.push_back(b.i32(number));
  Constant *model = b.record({
      b.i32(RAPT_ABI_MAGIC),
      b.i32(RAPT_ABI_VERSION),
      b.text(facts.name),
      b.text(facts.producer),
      b.text(facts.cpu),
      b.text(facts.features),
      b.i32(interface.symbols.size()),
      b.i32(interface.inputs.size()),
      b.i32(interface.outputs.size()),
      b.i32(calls.calls.size()),
      b.table(symbols),
      b.table(least),
      b.tensors(interface.inputs),
      b.tensors(interface.outputs),
      facts.embedsWeights() ? b.weights(facts.weightBytes) : b.null(),
      b.i64(facts.weightBytes),
      facts.weightsFile.empty() ? b.null() : b.text(facts.weightsFile),
      plan,
      run,
      b.calls(calls),
      work,
  });
  static_assert(sizeof(rapt_abi_model) == 144 && sizeof(rapt_abi_tensor) == 24 &&
                    sizeof(rapt_abi_dim) == 16 && sizeof(rapt_abi_call) == 24,
                "the records above follow rapt_abi.h field by field");
  b.global(model, GlobalValue::ExternalLinkage, facts.symbol);
  return Error::success();
}

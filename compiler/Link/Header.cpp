//===- Header.cpp - The C header of a model object --------------------------------------===//
//
// Interface => text of a C header. Whatever names the model file has, the text stays valid C.
//
//===-------------------------------------------------------------------------------------===//

#include "compiler/Link/Header.h"

#include "runtime/include/rapt_abi.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace rapt;

std::string link::identifier(StringRef text) {
  std::string result;
  for (char c : text)
    result += isAlnum(c) ? c : '_';
  if (result.empty() || isDigit(result[0]))
    result.insert(result.begin(), '_');
  return result;
}

static StringRef typeName(int32_t dtype) {
  switch (dtype) {
  case RAPT_ABI_F32:
    return "float32";
  case RAPT_ABI_U8:
    return "uint8";
  case RAPT_ABI_I8:
    return "int8";
  case RAPT_ABI_U16:
    return "uint16";
  case RAPT_ABI_I16:
    return "int16";
  case RAPT_ABI_I32:
    return "int32";
  case RAPT_ABI_I64:
    return "int64";
  case RAPT_ABI_BOOL:
    return "bool";
  case RAPT_ABI_F16:
    return "float16";
  case RAPT_ABI_F64:
    return "float64";
  case RAPT_ABI_U32:
    return "uint32";
  case RAPT_ABI_U64:
    return "uint64";
  case RAPT_ABI_BF16:
    return "bfloat16";
  default:
    return "unknown";
  }
}

/// Names come from the model file: nothing in one may end the comment or the line.
static std::string inComment(StringRef text) {
  std::string result;
  for (char c : text)
    result += (isPrint(c) && c != '*' && c != '\\') ? c : '?';
  return result;
}

static void list(raw_ostream &stream, StringRef title,
                 const std::vector<host::InterfaceTensor> &tensors) {
  for (auto [index, tensor] : enumerate(tensors)) {
    stream << " *   " << title << " " << index << ": " << inComment(tensor.name) << " "
           << typeName(tensor.dtype) << " [";
    interleaveComma(tensor.dims, stream, [&](const host::InterfaceDim &dim) {
      std::string text = dim.text; // the product sign would be an asterisk
      for (char &c : text)
        c = c == '*' ? 'x' : c;
      stream << inComment(text);
    });
    stream << "]\n";
  }
}

std::string link::headerText(StringRef object, StringRef symbol, const host::Interface &interface) {
  std::string text, guard = identifier(symbol).append("_H");
  for (char &c : guard)
    c = toUpper(c);
  raw_string_ostream stream(text);
  stream << "/* The model in " << inComment(object)
         << ". Link it with librapt and pass its address:\n"
         << " *\n"
         << " *   rapt_model *model;\n"
         << " *   rapt_status status = rapt_open_static(&" << symbol << ", &model);\n"
         << " *\n";
  list(stream, "input", interface.inputs);
  list(stream, "output", interface.outputs);
  stream << " */\n"
         << "#ifndef " << guard << "\n#define " << guard << "\n\n"
         << "#include \"rapt_abi.h\"\n\n"
         << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
         << "extern const rapt_abi_model " << symbol << ";\n\n"
         << "#ifdef __cplusplus\n}\n#endif\n\n"
         << "#endif /* " << guard << " */\n";
  return text;
}

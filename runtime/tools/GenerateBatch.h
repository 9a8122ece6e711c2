//===- GenerateBatch.h - Token by token for some sequences -------------------*- C++ -*-===//
#ifndef RAPT_TOOLS_GENERATEBATCH_H
#define RAPT_TOOLS_GENERATEBATCH_H

#include "Arrays.h"
#include "Generate.h"
#include "Ports.h"

namespace rapt::tools {

/// An open model with a workspace and the meaning of its inputs and outputs.
class Model {
public:
  Model() = default;
  Model(const Model &) = delete;
  ~Model() {
    rapt_workspace_destroy(workspace);
    rapt_close(model);
  }
  bool open(const char *path, int64_t threads, io::IoError &error) {
    rapt_workspace_options options = {};
    options.num_threads = int32_t(threads);
    if (rapt_open(path, &model) || rapt_workspace_create(model, &options, &workspace))
      return error.fail("%s", rapt_last_error());
    rapt_describe(model, &info);
    return true;
  }
  rapt_model *model = nullptr;
  rapt_workspace *workspace = nullptr;
  rapt_model_info info = {};
  Ports ports;
};

/// The models of a generation.
struct Models {
  Model decoder, first, encoder;
  io::List<io::Array> features; ///< what the encoder reads in the place of prompts: one, or none
};

/// Continues prompts begin .. end together, into the results of the same numbers. Error: what was
/// wrong; the ids so far stay in the results.
bool continueBatch(const GenerateOptions &options, Models &models, size_t begin, size_t end,
                   io::List<Continuation> &results, io::IoError &error);

} // namespace rapt::tools

#endif // RAPT_TOOLS_GENERATEBATCH_H

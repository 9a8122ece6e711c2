//===- RunChecks.cpp - A compiled model under the rules of rapt_run -----------------------===//
//
//   rapt-run-checks MODEL.so BATCH SEQ
//
// For a model whose inputs are i64 [batch, seq]: once its workspace has grown, a run calls no
// allocator (malloc and its family are counted); two threads with two workspaces at once give the
// bytes that one gives alone, many times over; memory of the caller serves as well.
//
//===-------------------------------------------------------------------------------------===//

#include "CountAllocations.h"
#include "rapt.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

static void check(rapt_status status) {
  if (status == RAPT_OK)
    return;
  std::fprintf(stderr, "%s: %s\n", rapt_status_name(status), rapt_last_error());
  std::exit(1);
}

static void expect(bool holds, const char *what) {
  if (holds)
    return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

/// Inputs, and outputs to write to.
struct Run {
  std::vector<rapt_tensor> inputs, outputs;
  std::vector<std::vector<int64_t>> ids;
  std::vector<std::vector<unsigned char>> results;

  Run(const rapt_model *model, int64_t batch, int64_t seq) {
    rapt_model_info info;
    check(rapt_describe(model, &info));
    for (int i = 0; i < info.num_inputs; ++i) {
      rapt_tensor_info input;
      check(rapt_input_info(model, i, &input));
      ids.emplace_back(batch * seq, 1);
      for (int64_t at = 0; at < batch * seq && i == 0; ++at)
        ids[0][at] = 2 + at * 7 % 90;
      inputs.push_back({input.name, ids.back().data(), RAPT_I64, 2, {batch, seq}});
    }
    outputs.resize(info.num_outputs);
    check(rapt_output_shapes(model, inputs.data(), info.num_inputs, outputs.data()));
    for (rapt_tensor &output : outputs) {
      results.emplace_back(rapt_tensor_bytes(&output));
      output.data = results.back().data();
    }
  }
  void operator()(rapt_workspace *workspace) {
    check(rapt_run(workspace, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
  }
};

int main(int argc, char **argv) {
  expect(argc == 4, "expected MODEL.so BATCH SEQ");
  int64_t batch = std::atoll(argv[2]), seq = std::atoll(argv[3]);
  rapt_model *model;
  check(rapt_open(argv[1], &model));
  rapt_workspace_options options = {};
  options.num_threads = 2;

  rapt_workspace *workspace;
  check(rapt_workspace_create(model, &options, &workspace));
  Run alone(model, batch, seq);
  alone(workspace);
  startCounting();
  alone(workspace);
  long allocations = stopCounting();
  std::printf("allocations in a run: %ld\n", allocations);
  expect(allocations == 0, "a run allocates nothing");

  auto worker = [&](bool *same) {
    rapt_workspace *own;
    check(rapt_workspace_create(model, &options, &own));
    *same = true;
    Run mine(model, batch, seq);
    for (int i = 0; i < 20; ++i) {
      for (auto &result : mine.results)
        std::memset(result.data(), 0xee, result.size());
      mine(own);
      *same &= mine.results == alone.results;
    }
    rapt_workspace_destroy(own);
  };
  bool first, second;
  std::thread other(worker, &first);
  worker(&second);
  other.join();
  expect(first && second, "two threads with two workspaces give what one gives alone");
  std::printf("two threads: same bytes\n");

  uint64_t bytes;
  check(rapt_workspace_size(model, alone.inputs.data(), alone.inputs.size(), options.num_threads,
                            &bytes));
  void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
  options.memory = memory;
  options.bytes = bytes;
  rapt_workspace *borrowed;
  check(rapt_workspace_create(model, &options, &borrowed));
  Run again(model, batch, seq);
  again(borrowed);
  expect(again.results == alone.results, "the caller's memory gives the same bytes");
  std::printf("caller's memory of %llu bytes: same bytes\n",
              static_cast<unsigned long long>(bytes));
  rapt_workspace_destroy(borrowed);
  rapt_workspace_destroy(workspace);
  rapt_close(model);
  std::free(memory);
}

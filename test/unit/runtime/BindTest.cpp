//===- BindTest.cpp - Wrong tensors give an error that names them ------------*- C++ -*-===//

#include "Helpers.h"

using Bind = StaticModel;

TEST_F(Bind, OutputShapes) {
  Problem problem(3, 5);
  rapt_tensor outputs[2];
  for (rapt_tensor &input : problem.inputs)
    input.data = nullptr; // shapes suffice
  ASSERT_EQ(rapt_output_shapes(model, problem.inputs.data(), 2, outputs), RAPT_OK);
  EXPECT_STREQ(outputs[0].name, "scaled");
  EXPECT_EQ(outputs[0].rank, 3);
  EXPECT_EQ(outputs[0].dims[1], 5);
  EXPECT_EQ(rapt_tensor_bytes(&outputs[0]), 3u * 5 * 4 * 4);
  EXPECT_EQ(outputs[1].dims[0], 3);
  EXPECT_EQ(outputs[1].data, nullptr);
}

TEST_F(Bind, ByPlaceAndByNameInAnyOrder) {
  makeWorkspace(1);
  Problem problem(2, 3);
  std::swap(problem.inputs[0], problem.inputs[1]);
  std::swap(problem.outputs[0], problem.outputs[1]);
  EXPECT_EQ(problem.run(workspace), RAPT_OK) << rapt_last_error();
  EXPECT_TRUE(problem.right());
  Problem placed(2, 3);
  for (rapt_tensor *tensor :
       {&placed.inputs[0], &placed.inputs[1], &placed.outputs[0], &placed.outputs[1]})
    tensor->name = nullptr;
  EXPECT_EQ(placed.run(workspace), RAPT_OK) << rapt_last_error();
  EXPECT_TRUE(placed.right());
}

TEST_F(Bind, Names) {
  makeWorkspace(1);
  Problem problem(2, 3);
  problem.inputs[1].name = "idz";
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_NAME, "no input 'idz'");
  problem.inputs[1] = problem.inputs[0];
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_NAME, "input 'x' was given twice");
  problem.inputs.pop_back();
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_NAME, "input 'ids' is missing");
  problem = Problem(2, 3);
  problem.inputs.push_back(problem.inputs[1]);
  problem.inputs[2].name = nullptr;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_NAME, "input number 2");
  problem = Problem(2, 3);
  problem.outputs.pop_back();
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_NAME, "output 'total' is missing");
}

TEST_F(Bind, DtypeAndRank) {
  makeWorkspace(1);
  Problem problem(2, 3);
  problem.inputs[1].dtype = RAPT_I32;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_DTYPE,
               "'ids' has element type i32 (6), expected i64");
  problem.inputs[1].dtype = 77;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_DTYPE, "unknown (77)");
  problem = Problem(2, 3);
  problem.inputs[0].rank = 2;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_RANK, "'x' has rank 2, expected 3");
  problem.inputs[0].rank = -1;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_RANK, "rank -1");
  problem = Problem(2, 3);
  problem.outputs[1].dtype = RAPT_F16;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_DTYPE, "output 'total'");
}

TEST_F(Bind, Dims) {
  makeWorkspace(1);
  Problem problem(2, 3);
  problem.inputs[0].dims[2] = 5;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_SHAPE, "input 'x' dim 2 is 5, expected 4");
  problem = Problem(2, 3);
  problem.inputs[1].dims[1] = 7;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_SHAPE,
               "input 'ids' dim 1 ('seq') is 7, expected 3 as in dim 1 of input 'x'");
  for (int64_t dim : {int64_t(0), int64_t(-1), INT64_MIN}) {
    problem.inputs[1].dims[1] = dim;
    EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_SHAPE, "expected at least 1");
  }
  problem = Problem(2, 3);
  problem.inputs[0].dims[0] = problem.inputs[1].dims[0] = INT64_MAX / 8;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_SHAPE, "more than 2^63 - 1 bytes");
  problem = Problem(2, 3);
  problem.outputs[0].dims[1] = 4;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_SHAPE,
               "output 'scaled' dim 1 ('seq') is 4, expected 3");
  problem = Problem(1, 4097);
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_SHAPE,
               "seq is 4097, the position table has 4096");
}

/// The hand-written model, which says that seq may be 0.
struct EmptyBind : Bind {
  void SetUp() override {
    static const int32_t least[] = {1, 0};
    abi = test_rapt_model;
    abi.least = least;
    ASSERT_EQ(rapt_open_static(&abi, &model), RAPT_OK);
  }
  rapt_abi_model abi;
};

TEST_F(EmptyBind, DimsOf0) {
  makeWorkspace(1);
  int64_t first = -1, second = -1;
  EXPECT_EQ(rapt_symbol_least(model, 0, &first), RAPT_OK);
  EXPECT_EQ(rapt_symbol_least(model, 1, &second), RAPT_OK);
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
  EXPECT_FAILS(rapt_symbol_least(model, 2, &second), RAPT_ERROR_ARGUMENT, "outside the model's 2");

  Problem empty(2, 0);
  EXPECT_EQ(empty.run(workspace), RAPT_OK) << rapt_last_error();
  EXPECT_TRUE(empty.right());
  empty.inputs[0].data = empty.inputs[1].data = empty.outputs[0].data = nullptr;
  EXPECT_EQ(empty.run(workspace), RAPT_OK) << rapt_last_error();
  empty.outputs[1].data = nullptr; // total has an element for each batch
  EXPECT_FAILS(empty.run(workspace), RAPT_ERROR_ARGUMENT, "output 'total' has a null data pointer");

  // 0 is a value like others: the next input must have it too, and -1 is none.
  empty.inputs[1].dims[1] = 3;
  EXPECT_FAILS(empty.run(workspace), RAPT_ERROR_SHAPE,
               "input 'ids' dim 1 ('seq') is 3, expected 0 as in dim 1 of input 'x'");
  empty.inputs[0].dims[1] = -1;
  EXPECT_FAILS(empty.run(workspace), RAPT_ERROR_SHAPE, "is -1, expected at least 0");
  Problem none(0, 3);
  EXPECT_FAILS(none.run(workspace), RAPT_ERROR_SHAPE,
               "input 'x' dim 0 ('batch') is 0, expected at least 1");
}

TEST_F(Bind, Pointers) {
  makeWorkspace(1);
  Problem problem(2, 3);
  problem.inputs[0].data = nullptr;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_ARGUMENT, "input 'x' has a null data pointer");
  problem.inputs[0].data = reinterpret_cast<char *>(problem.x.data()) + 2;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_ARGUMENT, "expected a multiple of 4");
  problem = Problem(2, 3);
  problem.outputs[1].data = nullptr;
  EXPECT_FAILS(problem.run(workspace), RAPT_ERROR_ARGUMENT, "output 'total'");
  EXPECT_FAILS(rapt_run(workspace, nullptr, -1, nullptr, 0), RAPT_ERROR_ARGUMENT,
               "the number of inputs is -1, expected 2");
  EXPECT_FAILS(rapt_run(workspace, nullptr, 2, nullptr, 0), RAPT_ERROR_ARGUMENT,
               "the pointer to the inputs is null");
  EXPECT_FAILS(rapt_run(nullptr, nullptr, 0, nullptr, 0), RAPT_ERROR_ARGUMENT, "workspace");
  EXPECT_FAILS(rapt_output_shapes(model, nullptr, 0, nullptr), RAPT_ERROR_ARGUMENT, "outputs");
  rapt_workspace *none;
  EXPECT_FAILS(rapt_workspace_create(nullptr, nullptr, &none), RAPT_ERROR_ARGUMENT, "model");
}

TEST(Text, Names) {
  EXPECT_STREQ(rapt_status_name(RAPT_ERROR_SHAPE), "RAPT_ERROR_SHAPE");
  EXPECT_STREQ(rapt_status_name(99), "unknown");
  EXPECT_STREQ(rapt_dtype_name(RAPT_BF16), "bf16");
  EXPECT_STREQ(rapt_dtype_name(8), "unknown");
  EXPECT_EQ(rapt_dtype_bytes(RAPT_F64), 8);
  rapt_tensor scalar = makeTensor("s", nullptr, RAPT_I16, {});
  EXPECT_EQ(rapt_tensor_bytes(&scalar), 2u);
  EXPECT_EQ(rapt_tensor_bytes(nullptr), 0u);
}

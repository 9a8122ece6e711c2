//===- GenerateTest.cpp - Recognition of caches, sampling --------------------*- C++ -*-===//

#include "Helpers.h"
#include "Ports.h"
#include "Sampling.h"

#include <cmath>
#include <limits>

using namespace rapt::tools;
using rapt::io::IoError;

TEST(Ports, NamesOfOneCache) {
  EXPECT_TRUE(isSameCache("past_key_0", "present_key_0"));
  EXPECT_TRUE(isSameCache("past_0", "present_0"));
  EXPECT_TRUE(isSameCache("past_key_values.0.key", "present.0.key"));
  EXPECT_TRUE(isSameCache("past_key_values.11.value", "present_key_values.11.value"));
  EXPECT_TRUE(isSameCache("past_key_values.3.decoder.key", "present.3.decoder.key"));
  EXPECT_TRUE(isSameCache("past_key_values.3.encoder.key", "present.3.encoder.key"));
  EXPECT_TRUE(isSameCache("model.past_self_key_1", "model.present_self_key_1"));

  EXPECT_FALSE(isSameCache("past_key_0", "present_key_1"));
  EXPECT_FALSE(isSameCache("past_key_1", "present_key_10"));
  EXPECT_FALSE(isSameCache("past_key_0", "present_value_0"));
  EXPECT_FALSE(isSameCache("past_key_values.3.decoder.key", "present.3.encoder.key"));
  EXPECT_FALSE(isSameCache("logits", "logits"));
  EXPECT_FALSE(isSameCache("past_key_0", "logits"));
}

TEST(Ports, WhatIsNoTextModel) {
  rapt_model *model;
  ASSERT_EQ(rapt_open_static(&test_rapt_model, &model), RAPT_OK);
  Ports ports;
  IoError error;
  // x: f32[batch, seq, 4] looks like a cache that no output continues: scaled is no longer than x.
  EXPECT_FALSE(recognizeDecoder(model, ports, error));
  EXPECT_NE(std::string(error.text).find("input 'x' (f32[batch, seq, 4])"), std::string::npos)
      << error.text;
  rapt_close(model);
}

struct Choice {
  int64_t id = -1;
  bool good = false;
};

static Choice choose(const SamplingOptions &options, std::vector<float> logits,
                     SplitMix64 &random) {
  Sampler sampler(options);
  Choice choice;
  IoError error;
  choice.good = sampler.choose(logits.data(), RAPT_F32, 1, int64_t(logits.size()) - 1, random,
                               choice.id, error);
  return choice;
}

TEST(Sampling, SplitMix64) {
  SplitMix64 random(1234567); // the first numbers that its authors give for this seed
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
  for (int i = 0; i < 1000; ++i) {
    double number = random.uniform();
    EXPECT_GE(number, 0);
    EXPECT_LT(number, 1);
  }
}

TEST(Sampling, Greedy) {
  SplitMix64 random;
  SamplingOptions greedy;
  EXPECT_EQ(choose(greedy, {99, 1, 3, 2, 3}, random).id,
            1); // the element before `first` is not read
  EXPECT_EQ(choose(greedy, {99, -5}, random).id, 0);
  EXPECT_FALSE(choose(greedy, {0, 1, std::nanf(""), 2}, random).good);
  float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(choose(greedy, {0, -infinity, -infinity}, random).id, 0);
}

TEST(Sampling, Draws) {
  SplitMix64 random(1);
  auto count = [&](SamplingOptions options) {
    options.greedy = false;
    std::vector<int> counts(4);
    for (int i = 0; i < 4000; ++i)
      ++counts[size_t(
          choose(options, {0, std::log(1.f), std::log(4.f), std::log(2.f), std::log(1.f)}, random)
              .id)];
    return counts;
  };
  // Weights 1, 4, 2, 1 of 8: with 4000 draws the standard deviation is at most 32.
  auto near = [](int number, int expected) { return std::abs(number - expected) < 160; };
  std::vector<int> all = count({});
  EXPECT_TRUE(near(all[0], 500) && near(all[1], 2000) && near(all[2], 1000) && near(all[3], 500));
  std::vector<int> two = count({.topK = 2});
  EXPECT_TRUE(two[0] == 0 && near(two[1], 2667) && near(two[2], 1333) && two[3] == 0);
  std::vector<int> most = count({.topP = 0.8}); // 4, 2 and the first 1 are 7 of 8
  EXPECT_TRUE(near(most[0], 571) && near(most[1], 2286) && near(most[2], 1143) && most[3] == 0);
  std::vector<int> first = count({.topP = 0.49});
  EXPECT_EQ(first[1], 4000);
  std::vector<int> flat = count({.temperature = 1e5});
  EXPECT_TRUE(near(flat[0], 1000) && near(flat[1], 1000) && near(flat[2], 1000));
  std::vector<int> sharp = count({.temperature = 0.01});
  EXPECT_EQ(sharp[1], 4000);
  // Infinite logits leave nothing to draw from.
  float infinity = std::numeric_limits<float>::infinity();
  SamplingOptions sampled{.greedy = false};
  EXPECT_EQ(choose(sampled, {0, 1, infinity, 2}, random).id, 1);
  EXPECT_NE(choose(sampled, {0, 1, -infinity, 2}, random).id, 1);
}

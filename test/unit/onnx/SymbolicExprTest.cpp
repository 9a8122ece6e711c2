//===- SymbolicExprTest.cpp - Normal form, bounds and division of dims -----------------------===//

#include "dialects/Onnx/SymbolicExpr.h"

#include <gtest/gtest.h>

#include <limits>

using rapt::onnx::SymbolicExpr;

namespace {
const SymbolicExpr batch = SymbolicExpr::symbol("batch");
const SymbolicExpr seq = SymbolicExpr::symbol("seq");
const SymbolicExpr past = SymbolicExpr::symbol("past", /*least=*/0);
const SymbolicExpr one(1), two(2);
constexpr int64_t highest = std::numeric_limits<int64_t>::max();
constexpr int64_t lowest = std::numeric_limits<int64_t>::min();

TEST(SymbolicExpr, EqualWhenTheNormalFormIs) {
  EXPECT_EQ((batch + one) * seq, seq * batch + seq);
  EXPECT_EQ((seq + batch) - batch, seq);
  EXPECT_EQ(SymbolicExpr(0) * seq, SymbolicExpr(0));
  EXPECT_EQ((seq + one) * (seq - one), seq * seq - one);
  EXPECT_NE(seq, batch);
  EXPECT_NE(SymbolicExpr::symbol("seq") + one, seq);
}

TEST(SymbolicExpr, UnknownEqualsNothing) {
  EXPECT_FALSE(SymbolicExpr() == SymbolicExpr());
  EXPECT_FALSE((SymbolicExpr() + seq).isKnown());
}

TEST(SymbolicExpr, Prints) {
  EXPECT_EQ((batch * seq).str(), "batch * seq");
  EXPECT_EQ((seq * two + one).str(), "2 * seq + 1");
  EXPECT_EQ((one - seq).str(), "-seq + 1");
  EXPECT_EQ((SymbolicExpr(0)).str(), "0");
  EXPECT_EQ(SymbolicExpr::min(seq, 512).str(), "min(seq, 512)");
  EXPECT_EQ(SymbolicExpr().str(), "?");
}

TEST(SymbolicExpr, OverflowIsUnknown) {
  EXPECT_FALSE((SymbolicExpr(highest) + one).isKnown());
  EXPECT_FALSE((SymbolicExpr(lowest) * SymbolicExpr(-1)).isKnown());
  EXPECT_FALSE((SymbolicExpr(highest) * seq * two).isKnown());
  EXPECT_FALSE((SymbolicExpr(0) - SymbolicExpr(lowest)).isKnown());
}

TEST(SymbolicExpr, GrowthIsUnknown) {
  SymbolicExpr power(1);
  for (int i = 0; i < 20; ++i)
    power = power * seq;
  EXPECT_FALSE(power.isKnown());
  SymbolicExpr nested = seq;
  for (int i = 0; i < 100; ++i)
    nested = SymbolicExpr::floorDiv(nested * nested + batch, seq + two);
  EXPECT_FALSE(nested.isKnown());
}

TEST(SymbolicExpr, MinOfAMaximumOfItselfIsItself) {
  SymbolicExpr x = seq - batch;
  EXPECT_EQ(SymbolicExpr::min(x, SymbolicExpr::max(SymbolicExpr(0), x)), x);
  EXPECT_EQ(SymbolicExpr::max(SymbolicExpr::min(x, two), x), x);
  EXPECT_NE(SymbolicExpr::min(x, SymbolicExpr::max(SymbolicExpr(0), x + one)), x + one);
}

TEST(SymbolicExpr, BoundsOfQuotients) {
  auto low = [](const SymbolicExpr &a, const SymbolicExpr &b) {
    return SymbolicExpr::floorDiv(a, b).lowerBound();
  };
  EXPECT_EQ(low(seq + SymbolicExpr(18), SymbolicExpr(20)), 0);
  EXPECT_EQ(low(seq - SymbolicExpr(20), SymbolicExpr(40)), -1);
  EXPECT_LT(low(SymbolicExpr(0) - seq, SymbolicExpr(4)), -(int64_t(1) << 60));
  EXPECT_EQ(low(seq - SymbolicExpr(20), batch), -19);
  EXPECT_EQ(low(seq + SymbolicExpr(20), batch + one), 0);
  EXPECT_EQ(SymbolicExpr::floorDiv(SymbolicExpr(-3) - seq, batch + one).upperBound(), -1);
  EXPECT_EQ(SymbolicExpr::floorDiv(seq, batch + one).upperBound(), highest);
  EXPECT_EQ(SymbolicExpr::floorDiv(SymbolicExpr::min(seq, 512), batch + one).upperBound(), 256);
}

TEST(SymbolicExpr, SymbolsAreAtLeastOne) {
  EXPECT_EQ((batch * seq).lowerBound(), 1);
  EXPECT_EQ((seq + two).lowerBound(), 3);
  EXPECT_EQ((seq * two).upperBound(), highest);
  EXPECT_EQ((one - seq).upperBound(), 0);
  EXPECT_TRUE(SymbolicExpr::provablyDifferent(seq, 0));
  EXPECT_TRUE(SymbolicExpr::provablyDifferent(batch * seq, -1));
  EXPECT_FALSE(SymbolicExpr::provablyDifferent(seq, 7));
  EXPECT_TRUE(SymbolicExpr::provablyDifferent(seq + one, seq));
  EXPECT_TRUE(SymbolicExpr::provablyAtMost(seq, seq * batch + one - one + seq));
}

TEST(SymbolicExpr, MinAndMaxResolveWhenTheOrderIsKnown) {
  EXPECT_EQ(SymbolicExpr::min(seq, 1), one);
  EXPECT_EQ(SymbolicExpr::max(seq, 0), seq);
  EXPECT_EQ(SymbolicExpr::min(seq, seq + one), seq);
  EXPECT_EQ(SymbolicExpr::min(3, 5), SymbolicExpr(3));
  EXPECT_EQ(SymbolicExpr::min(seq, 512), SymbolicExpr::min(512, seq));
  EXPECT_EQ(SymbolicExpr::min(seq, 512).upperBound(), 512);
  EXPECT_EQ(SymbolicExpr::max(seq, 512).lowerBound(), 512);
}

TEST(SymbolicExpr, Substitutes) {
  SymbolicExpr expr = SymbolicExpr::min(seq, 512) * batch + seq;
  EXPECT_EQ(expr.substitute("seq", 600), batch * SymbolicExpr(512) + SymbolicExpr(600));
  EXPECT_EQ(expr.substitute("other", 1), expr);
  EXPECT_TRUE(expr.contains("batch"));
  EXPECT_FALSE(expr.contains("other"));
}

TEST(SymbolicExpr, SymbolsThatMayBeZero) {
  EXPECT_EQ(past.lowerBound(), 0);
  EXPECT_EQ((past + seq).lowerBound(), 1);
  EXPECT_EQ((batch * past).lowerBound(), 0);
  EXPECT_TRUE(SymbolicExpr::provablyAtMost(seq, past + seq));
  EXPECT_FALSE(SymbolicExpr::provablyAtMost(1, past));
  EXPECT_FALSE(SymbolicExpr::provablyDifferent(past + seq, seq));
  // No division by what may be 0, not even where all factors cancel.
  EXPECT_FALSE(SymbolicExpr::floorDiv(batch * past, past).isKnown());
  EXPECT_FALSE(SymbolicExpr::mod(seq, past).isKnown());
  EXPECT_TRUE(SymbolicExpr::floorDiv(past, seq).isKnown());
  // The bound survives substitution.
  EXPECT_EQ((past * batch).substitute("batch", 4).lowerBound(), 0);
  EXPECT_EQ((past * batch).substitute("past", seq).lowerBound(), 1);
  // Empty with an input, or for other reasons too.
  EXPECT_TRUE(past.isPositiveUnlessInputsEmpty());
  EXPECT_TRUE((batch * past).isPositiveUnlessInputsEmpty());
  EXPECT_TRUE(seq.isPositiveUnlessInputsEmpty());
  EXPECT_FALSE((past - SymbolicExpr(1)).isPositiveUnlessInputsEmpty());
  EXPECT_FALSE(SymbolicExpr().isPositiveUnlessInputsEmpty());
}

TEST(SymbolicExpr, CommonFactor) {
  SymbolicExpr wide = batch * seq * SymbolicExpr(32), fixed = batch * SymbolicExpr(224);
  EXPECT_EQ(SymbolicExpr::commonFactor(wide, fixed), batch * SymbolicExpr(32));
  EXPECT_EQ(SymbolicExpr::commonFactor(wide + fixed, seq * two), two);
  EXPECT_EQ(SymbolicExpr::commonFactor(batch, seq), one);
  EXPECT_EQ(SymbolicExpr::commonFactor(batch, SymbolicExpr(0)), one);
  // batch - seq may be zero or negative, and so may its multiples.
  SymbolicExpr atom = SymbolicExpr::max(batch - seq, SymbolicExpr(-3));
  EXPECT_EQ(SymbolicExpr::commonFactor(atom * two, atom * seq), one);
}

TEST(SymbolicExpr, LengthsOfWholeWindows) {
  // What is missing to whole windows of 4, as exporters write it, and what it makes.
  SymbolicExpr four(4), rest = SymbolicExpr::mod(seq, four);
  SymbolicExpr missing = SymbolicExpr::mod(four - rest, four);
  EXPECT_EQ(missing, SymbolicExpr::mod(SymbolicExpr(0) - seq, four));
  EXPECT_EQ(seq + missing, four * SymbolicExpr::floorDiv(seq + SymbolicExpr(3), four));
  EXPECT_EQ(SymbolicExpr::mod(seq + SymbolicExpr::mod(batch, SymbolicExpr(8)), four),
            SymbolicExpr::mod(seq + batch, four));
  // A remainder by something else stays.
  EXPECT_NE(SymbolicExpr::mod(seq + SymbolicExpr::mod(batch, SymbolicExpr(3)), four),
            SymbolicExpr::mod(seq + batch, four));
  // The two pieces of a roll are all of it.
  SymbolicExpr front = SymbolicExpr::min(seq, two);
  EXPECT_EQ(front + SymbolicExpr::max(0, seq - front), seq);
  EXPECT_TRUE(SymbolicExpr::provablyAtMost(seq, SymbolicExpr::max(seq, batch)));
  EXPECT_FALSE(SymbolicExpr::provablyAtMost(seq, SymbolicExpr::min(seq, batch)));
  EXPECT_FALSE(SymbolicExpr::provablyAtMost(SymbolicExpr::max(seq, batch), seq));
}

TEST(SymbolicExpr, TermsOfBothSidesCancel) {
  SymbolicExpr past = SymbolicExpr::symbol("past", 0), other = SymbolicExpr::symbol("other", 0);
  SymbolicExpr lhs = past + seq, rhs = seq + other;
  EXPECT_TRUE(SymbolicExpr::cancelTerms(lhs, rhs));
  EXPECT_EQ(lhs, past);
  EXPECT_EQ(rhs, other);
  lhs = batch * seq + seq * two + one;
  rhs = seq + past;
  EXPECT_TRUE(SymbolicExpr::cancelTerms(lhs, rhs));
  EXPECT_EQ(lhs, batch * seq + seq + one);
  EXPECT_EQ(rhs, past);
  // Nothing in common; nothing left of a side; a side that is not known.
  for (auto [a, b] : {std::pair(past, other), std::pair(past + seq, seq),
                      std::pair(past + seq, SymbolicExpr())}) {
    lhs = a;
    rhs = b;
    EXPECT_FALSE(SymbolicExpr::cancelTerms(lhs, rhs));
    EXPECT_EQ(lhs, a);
  }
}

TEST(SymbolicExpr, Division) {
  EXPECT_EQ(SymbolicExpr::exactDiv(batch * seq * SymbolicExpr(12), seq * SymbolicExpr(4)),
            batch * SymbolicExpr(3));
  EXPECT_FALSE(SymbolicExpr::exactDiv(seq, two).isKnown());
  EXPECT_EQ(SymbolicExpr::exactDiv((seq + one) * batch * two, seq + one), batch * two);
  EXPECT_EQ(SymbolicExpr::floorDiv(-7, 2), SymbolicExpr(-4));
  EXPECT_EQ(SymbolicExpr::mod(-7, 2), one);
  EXPECT_EQ(SymbolicExpr::floorDiv(seq * two, two), seq);
  EXPECT_EQ(SymbolicExpr::mod(seq * two, two), SymbolicExpr(0));
  EXPECT_EQ(SymbolicExpr::floorDiv(seq + one, two).str(), "floordiv(seq + 1, 2)");
  EXPECT_EQ(SymbolicExpr::floorDiv(seq - one, two), SymbolicExpr::floorDiv(seq + one, two) - one);
  EXPECT_EQ(SymbolicExpr::floorDiv(seq * two + SymbolicExpr(5), two), seq + two);
  // Bounds: of 1 to infinity over 4, and of what is negative.
  EXPECT_EQ(SymbolicExpr::floorDiv(seq + SymbolicExpr(3), SymbolicExpr(4)).lowerBound(), 1);
  EXPECT_EQ(SymbolicExpr::floorDiv(seq + two, SymbolicExpr(4)).lowerBound(), 0);
  EXPECT_EQ(SymbolicExpr::floorDiv(one - seq * two, two).upperBound(), -1);
  EXPECT_EQ(SymbolicExpr::floorDiv(seq + SymbolicExpr(8), batch).lowerBound(), 0);
  // Three convolutions after another.
  SymbolicExpr five(5), windows = SymbolicExpr::floorDiv(seq - SymbolicExpr(10), five) + one;
  windows = SymbolicExpr::floorDiv(windows - SymbolicExpr(3), two) + one;
  windows = SymbolicExpr::floorDiv(windows - SymbolicExpr(3), two) + one;
  EXPECT_EQ(windows.str(), "floordiv(seq, 20) - 1");
  // What the divisor divides leaves the remainder; the rest keeps its sign.
  SymbolicExpr three(3);
  EXPECT_EQ(SymbolicExpr::mod(seq * three + two, three), two);
  EXPECT_EQ(SymbolicExpr::mod(batch * SymbolicExpr(6) - seq - SymbolicExpr(4), three),
            SymbolicExpr::mod(SymbolicExpr(-1) - seq, three));
  for (int64_t n : {1, 2, 3, 4, 11}) {
    SymbolicExpr value = seq * SymbolicExpr(-6) + batch - SymbolicExpr(8);
    auto at = [&](const SymbolicExpr &expr) {
      return expr.substitute("seq", 2).substitute("batch", n);
    };
    EXPECT_EQ(at(SymbolicExpr::floorDiv(value, three)), SymbolicExpr::floorDiv(at(value), three));
    EXPECT_EQ(at(SymbolicExpr::mod(value, three)), SymbolicExpr::mod(at(value), three));
  }
  EXPECT_FALSE(SymbolicExpr::floorDiv(seq, 0).isKnown());
  EXPECT_FALSE(SymbolicExpr::floorDiv(seq, one - seq).isKnown());
  EXPECT_EQ(SymbolicExpr::mod(seq, 4).upperBound(), 3);
}

TEST(SymbolicExpr, MeasuredStaysBelowItsBound) {
  SymbolicExpr count = SymbolicExpr::measured("count(y)", batch * seq);
  EXPECT_EQ(count.str(), "count(y)");
  EXPECT_EQ(count.lowerBound(), 0);
  EXPECT_EQ(count.upperBound(), highest);
  EXPECT_EQ(SymbolicExpr::measured("few", 12).upperBound(), 12);
  EXPECT_TRUE(count.hasMeasured());
  EXPECT_TRUE(SymbolicExpr::min(two * count + seq, 512).hasMeasured());
  EXPECT_FALSE((batch * seq).hasMeasured());
  EXPECT_TRUE(SymbolicExpr::provablyAtMost(count, batch * seq));
  EXPECT_TRUE(SymbolicExpr::provablyAtMost(two * count, two * batch * seq + one));
  EXPECT_FALSE(SymbolicExpr::provablyAtMost(count, seq));
  EXPECT_FALSE(SymbolicExpr::provablyAtMost(batch * seq, count));
  // It may be 0, and unlike dims of inputs nobody has been asked for that.
  EXPECT_FALSE(count.isPositiveUnlessInputsEmpty());
  EXPECT_TRUE(past.isPositiveUnlessInputsEmpty());
  EXPECT_GE(count.withPositiveMeasured().lowerBound(), 1);
  // What replaces another symbol leaves it what it is.
  EXPECT_TRUE((count * past).substitute("past", seq).hasMeasured());
}

TEST(SymbolicExpr, FitsItsType) {
  EXPECT_TRUE((batch * seq * SymbolicExpr(768)).fits(64, /*isUnsigned=*/false));
  EXPECT_FALSE((seq * SymbolicExpr(int64_t(1) << 40)).fits(64, false));
  EXPECT_TRUE((seq + past).fits(32, false));
  EXPECT_FALSE((seq * SymbolicExpr(1 << 30)).fits(32, false));
  EXPECT_FALSE((seq + SymbolicExpr(highest)).fits(64, false));
  // A difference may be negative.
  EXPECT_TRUE((seq - batch).fits(32, false));
  EXPECT_FALSE((seq - batch).fits(32, true));
  EXPECT_FALSE(seq.fits(8, false));
  EXPECT_TRUE(SymbolicExpr::min(seq, 127).fits(8, false));
  EXPECT_FALSE(SymbolicExpr::min(seq, 128).fits(8, false));
  EXPECT_TRUE(SymbolicExpr::min(seq, 128).fits(8, true));
  EXPECT_FALSE(SymbolicExpr().fits(64, false));
}

TEST(SymbolicExpr, ExtremesOfConstantsFarApart) {
  EXPECT_TRUE(SymbolicExpr::min(highest, -highest).is(-highest));
  EXPECT_TRUE(SymbolicExpr::max(-highest, highest).is(highest));
}

TEST(SymbolicExpr, BoundsWithoutMeasured) {
  SymbolicExpr count = SymbolicExpr::measured("count(y)", seq);
  EXPECT_EQ((two * count + one).withoutMeasured(), two * seq + one);
  EXPECT_EQ((count * count).withoutMeasured(), seq * seq);
  EXPECT_EQ((batch - count).withoutMeasured(), batch);
  EXPECT_EQ(SymbolicExpr::floorDiv(count + SymbolicExpr(3), 2).withoutMeasured(),
            SymbolicExpr::floorDiv(seq + SymbolicExpr(3), 2));
  EXPECT_EQ(SymbolicExpr::min(count, 4).withoutMeasured(), SymbolicExpr::min(seq, 4));
  EXPECT_EQ(SymbolicExpr::max(count, batch).withoutMeasured(), SymbolicExpr::max(seq, batch));
  EXPECT_EQ(SymbolicExpr::mod(count, 4).withoutMeasured(), SymbolicExpr(3));
  EXPECT_EQ(seq.withoutMeasured(), seq);
  // Not all factors are known to be at least 0.
  EXPECT_FALSE(((batch - seq) * SymbolicExpr::mod(seq, 3) * count).withoutMeasured() == seq);
  EXPECT_FALSE(SymbolicExpr().withoutMeasured().isKnown());
}
} // namespace

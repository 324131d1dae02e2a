#include <cmath>
#include <cstdint>
#include <vector>

#include "model/encoder/axial_rope.h"
#include "model/encoder/position_table.h"
#include "model/encoder/relative_positions.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

namespace autoglm {
namespace {

TEST_CASE("PositionTable is the table itself at its own size") {
  ThreadPool threads({});
  std::vector<float> table;
  for (int i = 0; i < 4 * 4 * 3; ++i) table.push_back(static_cast<float>(i * i % 17));
  const PositionTable positions(table, 3);
  std::vector<float> interpolated(table.size());

  positions.Interpolate({1, 4, 4}, 1, threads, interpolated.data());

  for (size_t i = 0; i < table.size(); ++i) {
    CHECK_EQ(interpolated[i], doctest::Approx(table[i]).epsilon(1e-6));
  }
}

TEST_CASE("PositionTable repeats its border where taps fall outside") {
  ThreadPool threads({});
  const PositionTable positions(std::vector<float>(6 * 6, 2.5f), 1);
  std::vector<float> interpolated(10 * 2);

  positions.Interpolate({1, 10, 2}, 2, threads, interpolated.data());

  for (const float value : interpolated) CHECK_EQ(value, doctest::Approx(2.5f));
}

TEST_CASE("PositionTable reads a plane linearly and in merge order") {
  ThreadPool threads({});
  std::vector<float> table;
  for (int row = 0; row < 8; ++row) {
    for (int column = 0; column < 8; ++column) {
      table.push_back(static_cast<float>(10 * row + column));
    }
  }
  const PositionTable positions(table, 1);
  std::vector<float> interpolated(4 * 4);

  positions.Interpolate({1, 4, 4}, 2, threads, interpolated.data());

  // Patch 3 of the merge order is at (1, 1), which reads the table at (2.5, 2.5).
  CHECK_EQ(interpolated[3], doctest::Approx(27.5f));
}

TEST_CASE("AxialRope turns the first half of the pairs by row and the second by column") {
  const AxialRope rope = {.num_pairs = 4, .theta = 10000.0};
  const Grid grid = {1, 2, 4};
  std::vector<float> cos(8 * 4);
  std::vector<float> sin(8 * 4);

  rope.Write(grid, 2, cos.data(), sin.data());

  // Patch 7 of the merge order is at row 1, column 3; frequencies are 1 and 1/100.
  CHECK_EQ(sin[7 * 4 + 0], doctest::Approx(std::sin(1.0)));
  CHECK_EQ(sin[7 * 4 + 1], doctest::Approx(std::sin(0.01)));
  CHECK_EQ(sin[7 * 4 + 2], doctest::Approx(std::sin(3.0)));
  CHECK_EQ(cos[7 * 4 + 3], doctest::Approx(std::cos(0.03)));
}

TEST_CASE("RelativeSinusoids run from the longest distance back to the longest forward") {
  const std::vector<float> table = RelativeSinusoids(3, 4);

  REQUIRE_EQ(table.size(), 5 * 4);
  CHECK_EQ(table[0], doctest::Approx(std::sin(2.0)));
  CHECK_EQ(table[1], doctest::Approx(std::cos(2.0)));
  CHECK_EQ(table[2], doctest::Approx(std::sin(0.02)));
  CHECK_EQ(table[2 * 4], 0.0f);
  CHECK_EQ(table[2 * 4 + 1], 1.0f);
  CHECK_EQ(table[4 * 4], doctest::Approx(std::sin(-2.0)));
}

}  // namespace
}  // namespace autoglm

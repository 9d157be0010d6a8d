#include "src/core/console.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Console, ALineThatFitsStaysAsItIs) {
  EXPECT_EQ(wrapped_lines("", 10), "");
  EXPECT_EQ(wrapped_lines("\n", 10), "\n");
  EXPECT_EQ(wrapped_lines("  a   b c \nd", 10), "  a   b c \nd");
  EXPECT_EQ(wrapped_lines("0123456789", 10), "0123456789");
  EXPECT_EQ(wrapped_lines("äöüßéèñçøå", 10), "äöüßéèñçøå") << "ten characters in twenty bytes";
}

TEST(Console, ALongLineEndsBetweenWords) {
  EXPECT_EQ(wrapped_lines("error: no such file\n", 12), "error: no\n  such file\n");
  EXPECT_EQ(wrapped_lines("  indented text goes on\nnext", 14), "  indented\n    text goes\n    on\nnext");
}

TEST(Console, AWordThatIsTooLongStaysWhole) {
  EXPECT_EQ(wrapped_lines("cannot read /a/very/long/path here", 12),
            "cannot read\n  /a/very/long/path\n  here");
  EXPECT_EQ(wrapped_lines("/a/very/long/path", 5), "/a/very/long/path");
}

}  // namespace
}  // namespace lockstep

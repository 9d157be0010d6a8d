#include "io/import/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::vector<std::string>> fields_of(const std::string& text) {
  std::vector<std::vector<std::string>> fields;
  for (const CsvRow& row : parse_csv(text, "a.csv")) fields.push_back(row.fields);
  return fields;
}

TEST(Csv, HasRowsOfTrimmedFields) {
  EXPECT_THAT(fields_of("a, b \r\n\r\nc,\n"), ElementsAre(ElementsAre("a", "b"), ElementsAre("c", "")));
  EXPECT_THAT(fields_of("\xEF\xBB\xBF"
                        "a,b"),
              ElementsAre(ElementsAre("a", "b")));
  EXPECT_THAT(fields_of(""), ElementsAre());
  EXPECT_THAT(fields_of("a"), ElementsAre(ElementsAre("a")));
}

TEST(Csv, KeepsWhatIsQuoted) {
  EXPECT_THAT(fields_of("\"a,1\", \" b \"\"c\"\"\" \n\"x\ny\",z\n"),
              ElementsAre(ElementsAre("a,1", " b \"c\""), ElementsAre("x\ny", "z")));
  const std::vector<CsvRow> rows = parse_csv("\"x\ny\",z\nlast,w", "a.csv");
  EXPECT_EQ(rows[0].line, 1);
  EXPECT_EQ(rows[1].line, 3);
}

TEST(Csv, MayBeSeparatedOtherwise) {
  EXPECT_THAT(fields_of("a\tb c\n"), ElementsAre(ElementsAre("a", "b c")));
  EXPECT_THAT(fields_of("a;1,5\n"), ElementsAre(ElementsAre("a;1", "5")));
  EXPECT_THAT(fields_of("a;b\nc;d,e"), ElementsAre(ElementsAre("a", "b"), ElementsAre("c", "d,e")));
}

TEST(Csv, NamesTheLineOfAWrongQuote) {
  EXPECT_EQ(data_error_of([] { parse_csv("a,b\nc,\"d\n", "a.csv"); }),
            "a.csv: line 2: a quote is not closed.");
  EXPECT_THAT(data_error_of([] { parse_csv("\"a\"b,c", "a.csv"); }), HasSubstr("a.csv: line 1: 'b' follows"));
}

}  // namespace
}  // namespace lockstep

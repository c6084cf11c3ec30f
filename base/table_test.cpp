// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/table.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace ipidefer {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell)
{
    Table table{{Table::left("name"), Table::right("n"), Table::left("what")}};
    table.row({"one", "1000", "x"});
    table.row({"eleven", "2", ""});
    EXPECT_EQ(table.text(),
              "name       n  what\n"
              "one     1000  x\n"
              "eleven     2\n");
}

TEST(TableTest, SectionsCrossTheColumns)
{
    Table table{{Table::left(""), Table::right("")}};
    table.line("a title that is longer than any cell");
    table.row({"  a", "1"});
    EXPECT_EQ(table.text(),
              "a title that is longer than any cell\n"
              "  a  1\n");
}

TEST(TableTest, CharactersCountAndNotBytes)
{
    Table table{{Table::left("", 0, 4), Table::right("")}};
    table.row({"\u00fcber", "1"});
    table.row({"\u00fcberlang", "1"});
    table.row({"ab", "1"});
    EXPECT_EQ(table.text(),
              "\u00fcber  1\n"
              "\u00fcber  1\n"
              "ab    1\n");
}

TEST(TableTest, RowOfAnotherTableIsAnError)
{
    Table table{{Table::left("")}};
    EXPECT_THROW(table.row({"a", "b"}), std::logic_error);
}

}  // namespace
}  // namespace ipidefer

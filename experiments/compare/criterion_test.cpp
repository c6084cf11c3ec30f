// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/compare/criterion.hpp"

#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace ipidefer::compare {
namespace {

/// Of these rows, base and new; nothing else is there.
class Table : public Counts {
  public:
    double base(const Reference& of) const override { return at(of).first; }
    double now(const Reference& of) const override { return at(of).second; }

  private:
    static std::pair<double, double> at(const Reference& of)
    {
        static const std::map<std::string, std::pair<double, double>> kRows{
            {"CAL", {20, 15}},
            {"RES", {0, 0}},
            {"LOC", {0, 3}},
            {"RTR", {10, 0}},
            {"typed:sync_core", {4, 5}},
            {"4", {1, 1}},
            {"drop", {7, 7}}};
        if (of.mode != "off" && of.mode != "hv")
            throw CriterionError{"no mode", of.mode_column};
        const auto found = kRows.find(of.row);
        if (found != kRows.end()) return found->second;
        if (of.may_be_missing) return {0, 0};
        throw CriterionError{"no row", of.row_column};
    }
};

bool met(std::string_view text) { return Criterion{text}.judge(Table{}).met; }

TEST(Criterion, NumbersAreThoseOfTheNewReport)
{
    EXPECT_TRUE(met("off.CAL == 15"));
    EXPECT_TRUE(met("off.CAL != 20"));
    EXPECT_TRUE(met("off.CAL > 14.5"));
    EXPECT_FALSE(met("off.CAL > 15"));
    EXPECT_TRUE(met("off.CAL >= 15"));
    EXPECT_FALSE(met("off.CAL < 15"));
    EXPECT_TRUE(met("off.CAL <= 15"));
    EXPECT_TRUE(met("hv.RES==0"));
}

TEST(Criterion, DropAndRise)
{
    EXPECT_TRUE(met("off.CAL drop > 4"));
    EXPECT_FALSE(met("off.CAL drop > 5"));
    EXPECT_TRUE(met("off.CAL drop >= 25%"));
    EXPECT_FALSE(met("off.CAL drop > 25 %"));
    EXPECT_FALSE(met("off.CAL rise > 0%"));
    EXPECT_TRUE(met("off.CAL rise < 0"));
    EXPECT_TRUE(met("off.'typed:sync_core' rise >= 25%"));
    EXPECT_TRUE(met("off.CAL <= 75%"));
    EXPECT_FALSE(met("off.CAL < 75%"));
}

TEST(Criterion, PercentOfNothing)
{
    // Nothing that stays nothing has not changed.
    EXPECT_FALSE(met("off.RES rise > 0%"));
    EXPECT_FALSE(met("off.RES drop > 0%"));
    EXPECT_FALSE(met("off.RES rise >= 5%"));
    EXPECT_TRUE(met("off.RES rise == 0%"));
    EXPECT_TRUE(met("off.RES == 100%"));
    // From nothing to something is more than any part.
    EXPECT_TRUE(met("off.LOC rise > 1000000%"));
    EXPECT_FALSE(met("off.LOC drop > 5%"));
    EXPECT_TRUE(met("off.LOC > 1000000%"));
    EXPECT_TRUE(met("off.RTR drop == 100%"));
    EXPECT_TRUE(met("off.RTR == 0%"));
}

TEST(Criterion, AndBindsCloserThanOr)
{
    EXPECT_TRUE(met("off.CAL > 0 or off.CAL > 0 and off.CAL < 0"));
    EXPECT_FALSE(met("(off.CAL > 0 or off.CAL > 0) and off.CAL < 0"));
    EXPECT_TRUE(met("not off.CAL < 0 and not off.CAL == 0"));
    EXPECT_FALSE(met("not (off.CAL < 0 or off.CAL == 15)"));
    EXPECT_TRUE(met("not not off.CAL > 0"));
    EXPECT_TRUE(met("((off.CAL>0))and((hv.LOC>2))"));
}

TEST(Criterion, RowsMayLookLikeWords)
{
    EXPECT_TRUE(met("off.drop == 7"));
    EXPECT_TRUE(met("off.drop drop == 0"));
    EXPECT_TRUE(met("off.\"drop\" == 7"));
    EXPECT_TRUE(met("off.4 == 1"));
}

TEST(Criterion, MissingRowsAreRefusedUnlessTheyMayBe)
{
    EXPECT_THROW((void)met("off.XYZ > 0"), CriterionError);
    EXPECT_FALSE(met("off.XYZ? > 0"));
    EXPECT_FALSE(met("off.'x y' ? > 0"));
    // Also where the other part decides.
    EXPECT_THROW((void)met("off.CAL > 0 or off.XYZ > 0"), CriterionError);
    EXPECT_THROW((void)met("off.CAL < 0 and off.XYZ > 0"), CriterionError);
}

TEST(Criterion, SaysWhy)
{
    const Outcome outcome =
        Criterion{"off.CAL drop > 5% or not hv.LOC < 2"}.judge(Table{});
    EXPECT_TRUE(outcome.met);
    EXPECT_EQ(outcome.because, (std::vector<std::string>{
                                   "off.CAL is 15, was 20", "hv.LOC is 3"}));
}

TEST(Criterion, KeepsItsText)
{
    Criterion first{"off.CAL > 0"};
    const Criterion moved = std::move(first);
    EXPECT_EQ(moved.text(), "off.CAL > 0");
    EXPECT_TRUE(moved.judge(Table{}).met);
}

struct Wrong {
    const char* text;
    std::size_t column;
    const char* why;
};

TEST(Criterion, WhatIsWrongAndWhere)
{
    constexpr Wrong kWrong[] = {
        {"", 0, "the expression is empty"},
        {"   ", 3, "the expression is empty"},
        {"off", 3, "expected '.' and a row behind 'off'"},
        {"off CAL > 0", 3, "expected '.' and a row behind 'off'"},
        {"off.", 4, "a row is missing"},
        {"off. CAL > 0", 4, "expected a row"},
        {"off.'CAL > 0", 4, "the closing quote is missing"},
        {"off.'' > 0", 4, "a row has a name"},
        {"off.typed:sync_core > 0", 4,
         "a row with other than letters, digits and _ needs quotes"},
        {".CAL > 0", 0, "expected MODE.ROW, not, or ("},
        {"off.CAL", 7, "expected one of > >= < <= == !="},
        {"off.CAL = 0", 8, "expected one of > >= < <= == !=, not ="},
        {"off.CAL falls > 0", 8,
         "expected one of > >= < <= == !=, or drop or rise, not 'falls'"},
        {"off.CAL drop rise > 0", 13,
         "expected one of > >= < <= == !=, or drop or rise, not 'rise'"},
        {"off.CAL ! 0", 8, "expected one of > >= < <= == !="},
        {"off.CAL >", 9, "a number is missing"},
        {"off.CAL > x", 10, "expected a number"},
        {"off.CAL > -1", 10,
         "a number is not negative; what becomes less is a drop"},
        {"off.CAL > 1.", 12, "expected digits behind the point"},
        {"off.CAL > 1.2.3", 13, "this is no part of a number"},
        {"off.CAL > 0x10", 11, "this is no part of a number"},
        {"off.CAL > 5 % %", 14, "expected and, or, or the end"},
        {"off.CAL > 5 hv.CAL > 5", 12, "expected and, or, or the end"},
        {"off.CAL > 5)", 11, "too many ')'"},
        {"(off.CAL > 5", 0, "its ')' is missing"},
        {"(off.CAL > 5 hv.CAL", 13, "expected and, or, or )"},
        {"off.CAL > 5 and", 15, "a MODE.ROW is missing"},
        {"not", 3, "a MODE.ROW is missing"},
        {"not and", 7, "expected '.' and a row behind 'and'"},
        {"()", 1, "expected MODE.ROW, not, or ("},
        {"of.CAL > 5", 0, "no mode"},
        {"off.CAL > 5 or off.CALL > 5", 19, "no row"},
    };
    for (const auto& [text, column, why] : kWrong) {
        try {
            (void)met(text);
            ADD_FAILURE() << text;
        } catch (const CriterionError& error) {
            EXPECT_STREQ(error.what(), why) << text;
            EXPECT_EQ(error.column(), column) << text;
        }
    }
}

TEST(Criterion, Limits)
{
    const std::string deep(100, '(');
    const std::string close(100, ')');
    EXPECT_TRUE(met(deep + "off.CAL>0" + close));
    try {
        (void)met('(' + deep + "off.CAL>0" + close + ')');
        ADD_FAILURE();
    } catch (const CriterionError& error) {
        EXPECT_STREQ(error.what(), "more than 100 parentheses in one another");
        EXPECT_EQ(error.column(), 100u);
    }
    try {
        (void)met(std::string(1001, ' '));
        ADD_FAILURE();
    } catch (const CriterionError& error) {
        EXPECT_STREQ(error.what(),
                     "an expression has at most 1000 bytes, this one has 1001");
    }
    try {
        (void)met("off.CAL > " + std::string(400, '9'));
        ADD_FAILURE();
    } catch (const CriterionError& error) {
        EXPECT_STREQ(error.what(), "the number is too large");
    }
}

TEST(Criterion, CaretIsBelowTheCharacter)
{
    const CriterionError error{"", 4};
    EXPECT_EQ(error.show("off.CAL"), "off.CAL\n    ^\n");
    // A control character is shown as four, two bytes of UTF-8 as one.
    EXPECT_EQ(error.show("\t\xc3\xa4 x"), "\\x09\xc3\xa4 x\n      ^\n");
}

TEST(NumberText, HasNoNeedlessDigits)
{
    EXPECT_EQ(number_text(20), "20");
    EXPECT_EQ(number_text(20.5), "20.5");
    EXPECT_EQ(number_text(-0.25), "-0.25");
    EXPECT_EQ(number_text(123456789), "123456789");
}

}  // namespace
}  // namespace ipidefer::compare

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/xml_text.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"
#include "base/failure_testing.hpp"

namespace ipidefer::domain {
namespace {

std::string refusal(const std::string& text)
{
    return refusal_of([&] { return XmlText{text}; });
}

TEST(XmlText, AttributeIsReplacedAndTheRestStays)
{
    XmlText xml{
        "<?xml version='1.0'?>\n<!-- a -->\n<a x = \"1\"\n   y='2' ><b/></a "
        ">\n"};
    xml.set_attribute(xml.root(), "x", "a\"b<'>&");
    EXPECT_EQ(xml.text(),
              "<?xml version='1.0'?>\n<!-- a -->\n<a x = "
              "\"a&quot;b&lt;'&gt;&amp;\"\n   y='2' ><b/></a >\n");
    EXPECT_STREQ(xml.root().attribute("x").value(), "a\"b<'>&");
}

TEST(XmlText, AttributeIsAddedBehindTheOthers)
{
    XmlText xml{"<a><b c=\"1\" /><d/></a>"};
    xml.set_attribute(xml.root().child("b"), "e", "2");
    EXPECT_EQ(xml.text(), "<a><b c=\"1\" e=\"2\" /><d/></a>");
    xml.set_attribute(xml.root().child("d"), "f", "3");
    EXPECT_EQ(xml.text(), "<a><b c=\"1\" e=\"2\" /><d f=\"3\"/></a>");
}

TEST(XmlText, ChildIsAppendedOnALineOfItsOwn)
{
    XmlText xml{"<a>\n    <b/>\n    <!-- last -->\n</a>\n"};
    xml.append(xml.root(), {"c", {{"x", "1"}}, {}, ""});
    EXPECT_EQ(xml.text(),
              "<a>\n    <b/>\n    <!-- last -->\n    <c x='1'/>\n</a>\n");
}

TEST(XmlText, ChildrenOfChildrenAreIndented)
{
    XmlText xml{"<a>\n  <b/>\n</a>"};
    xml.append(xml.root(),
               {"c", {}, {{"d", {}, {}, "t<"}, {"e", {}, {}, ""}}, ""});
    EXPECT_EQ(xml.text(),
              "<a>\n  <b/>\n  <c>\n    <d>t&lt;</d>\n    <e/>\n  </c>\n</a>");
}

TEST(XmlText, ChildIsAppendedToWhatHasNone)
{
    XmlText empty{"<a>\n  <b />\n</a>"};
    empty.append(empty.root().child("b"), {"c", {}, {}, ""});
    EXPECT_EQ(empty.text(), "<a>\n  <b>\n    <c/>\n  </b>\n</a>");
    XmlText pair{"<a>\n  <b x='/'></b>\n</a>"};
    pair.append(pair.root().child("b"), {"c", {}, {}, ""});
    EXPECT_EQ(pair.text(), "<a>\n  <b x='/'>\n    <c/>\n  </b>\n</a>");
    XmlText line{"<a><b/></a>"};
    line.append(line.root(), {"c", {}, {}, ""});
    EXPECT_EQ(line.text(), "<a><b/>\n  <c/>\n</a>");
}

TEST(XmlText, PlacesAreFoundBehindEntitiesAndOtherMarkup)
{
    XmlText xml{
        "<a>\n <b t='&lt;&#10;>'>&amp;&lt;</b>\n <![CDATA[</a>]]><?p </a> ?>"
        "<!-- </a> -->\n</a>"};
    xml.append(xml.root(), {"c", {}, {}, ""});
    EXPECT_TRUE(xml.text().ends_with("<!-- </a> -->\n <c/>\n</a>"))
        << xml.text();
    xml.set_attribute(xml.root().child("c"), "x", "1");
    EXPECT_TRUE(xml.text().ends_with("<!-- </a> -->\n <c x='1'/>\n</a>"));
}

TEST(XmlText, SiblingIsPutBehind)
{
    XmlText xml{"<a>\n  <b>x</b> <!-- of b -->\n  <d/>\n</a>"};
    xml.insert_after(xml.root().child("b"), {"c", {}, {}, ""});
    EXPECT_EQ(xml.text(),
              "<a>\n  <b>x</b>\n  <c/> <!-- of b -->\n  <d/>\n</a>");
}

TEST(XmlText, TextIsReplaced)
{
    XmlText xml{"<a><b>x &amp; y</b><c/><d>1<e/></d></a>"};
    xml.set_text(xml.root().child("b"), "1 < 2 'x'");
    xml.set_text(xml.root().child("c"), "z");
    EXPECT_EQ(xml.text(), "<a><b>1 &lt; 2 'x'</b><c>z</c><d>1<e/></d></a>");
    EXPECT_THROW(xml.set_text(xml.root().child("d"), "z"), Failure);
}

TEST(XmlText, LinesEndAsTheyDo)
{
    XmlText xml{"<a>\r\n  <b/>\r\n</a>\r\n"};
    xml.append(xml.root(), {"c", {}, {{"d", {}, {}, ""}}, ""});
    EXPECT_EQ(xml.text(),
              "<a>\r\n  <b/>\r\n  <c>\r\n    <d/>\r\n  </c>\r\n</a>\r\n");
}

TEST(XmlText, WithAByteOrderMarkPlacesAreTheSame)
{
    XmlText xml{"\xef\xbb\xbf<a x='1'/>"};
    xml.set_attribute(xml.root(), "x", "22");
    EXPECT_EQ(xml.text(), "\xef\xbb\xbf<a x='22'/>");
}

TEST(XmlText, WhatIsNoXmlIsRefusedWithTheLine)
{
    EXPECT_EQ(refusal("<a>\n<b>\n</a>").substr(0, 13), "XML: line 3: ");
    EXPECT_NE(refusal(""), "");
    EXPECT_NE(refusal("no markup"), "");
    EXPECT_EQ(refusal("<!-- only -->").substr(0, 13), "XML: line 1: ");
    EXPECT_EQ(refusal("<?xml version='1.0' encoding='latin1'?><a/>"),
              "XML: its encoding is 'latin1', and not UTF-8");
    EXPECT_EQ(refusal("<?xml version='1.0' encoding='UTF-8'?><a/>"), "");
}

TEST(XmlText, WhatIsNotWellFormedIsRefused)
{
    for (const std::string& wrong :
         {std::string{"<a/>\n<a/>"}, std::string{"Starting\n<a/>"},
          std::string{"<a/>\ndone"}, std::string{"<a x='1' x='2'/>"},
          std::string{"<a>&nbsp;</a>"}, std::string{"<a>1 & 2</a>"},
          std::string{"<a x='<'/>"}, std::string{"<a x=1/>"},
          std::string{"<a><!-- -- --></a>"}, std::string{"<a>\x01</a>"},
          std::string{"<a>\xff</a>"}, std::string{"<a><b></a></b>"},
          std::string{"<1/>"}, std::string{"<a/>\0", 5}})
        EXPECT_NE(refusal(wrong), "") << wrong;
    EXPECT_EQ(refusal("<a/>\n<a/>").substr(0, 13), "XML: line 2: ");
    // libvirt minds a prefix that nothing declares as little.
    EXPECT_EQ(refusal("<a><p:b/></a>"), "");
    EXPECT_EQ(refusal("<!DOCTYPE a><a/>"), "");
    EXPECT_NE(refusal("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>"), "");
}

TEST(XmlText, DepthAndSizeHaveLimitsThatAreNamed)
{
    const auto nested = [](unsigned depth) {
        std::string text;
        for (unsigned i = 0; i < depth; ++i) text += "<a>";
        for (unsigned i = 0; i < depth; ++i) text += "</a>";
        return text;
    };
    EXPECT_EQ(refusal(nested(200)), "");
    EXPECT_EQ(refusal(nested(50'000)),
              "XML: line 1: Excessive depth in document: 256");
    EXPECT_EQ(refusal("<a>" + std::string(10 << 20, ' ') + "</a>"),
              "XML: it has 10485767 bytes, and virsh reads at most 10485760");
}

}  // namespace
}  // namespace ipidefer::domain

// SPDX-License-Identifier: GPL-2.0-or-later
// XML text: a document that is changed where it has to be, and byte for byte
// the same everywhere else: comments, order, quotes and indentation are its
// author's. pugixml reads it; changes are made in the text, at the places that
// pugixml tells, and the text is then read anew; what is changed in one call is
// read once.
//
// Not handled: encodings other than UTF-8.
#pragma once

#include <cstddef>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ipidefer::domain {

/// An element to be put in.
struct Element {
    std::string name;
    std::vector<std::pair<std::string, std::string>> attributes;
    std::vector<Element> children;
    std::string text;  // instead of children
};

class XmlText final {
  public:
    /// Throws Failure, with the line, for what is not XML with one element
    /// around everything.
    explicit XmlText(std::string text);
    XmlText(const XmlText& other) : XmlText{other.text_} {}
    XmlText& operator=(const XmlText& other)
    {
        text_ = other.text_;
        read();
        return *this;
    }

    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    /// Valid until the next change, as all nodes below it.
    [[nodiscard]] pugi::xml_node root() const;

    struct AttributeValue {
        pugi::xml_node element;
        std::string name;
        std::string value;
    };
    /// Of as many elements as there are entries.
    void set_attributes(const std::vector<AttributeValue>& all);
    void set_attribute(pugi::xml_node element, std::string_view name,
                       std::string_view value);
    /// As the last children, each on a line of its own.
    void append(pugi::xml_node parent, const std::vector<Element>& elements);
    void append(pugi::xml_node parent, const Element& element)
    {
        append(parent, std::vector{element});
    }
    void insert_after(pugi::xml_node sibling,
                      const std::vector<Element>& elements);
    void insert_after(pugi::xml_node sibling, const Element& element)
    {
        insert_after(sibling, std::vector{element});
    }
    /// Instead of all that is in the element. Throws Failure when that is more
    /// than text.
    void set_text(pugi::xml_node element, std::string_view text);

  private:
    struct Attribute {
        std::string_view name;
        std::size_t value_begin;
        std::size_t value_end;
        char quote;
    };
    /// <name attribute="value">
    struct StartTag {
        std::size_t begin;       // of "<"
        std::size_t attributes;  // where another one goes
        std::size_t end;         // behind ">"
        bool empty;              // ends with "/>"
        std::vector<Attribute> all;
    };

    void read();
    void replace(std::size_t at, std::size_t length, const std::string& by);
    [[nodiscard]] StartTag start_tag(pugi::xml_node element) const;
    [[nodiscard]] std::size_t end_tag(pugi::xml_node element) const;
    /// Behind its last byte.
    [[nodiscard]] std::size_t end_of(pugi::xml_node node) const;
    /// Of the line that this begins, if it does.
    [[nodiscard]] std::string indentation(std::size_t at) const;
    [[nodiscard]] std::string child_indentation(pugi::xml_node parent) const;
    [[nodiscard]] std::string format(const Element& element,
                                     const std::string& indent) const;
    [[nodiscard]] std::string lines(const std::vector<Element>& elements,
                                    const std::string& indent) const;

    std::string text_;
    pugi::xml_document document_;
    std::string newline_ = "\n";
    char quote_ = '\'';
};

}  // namespace ipidefer::domain

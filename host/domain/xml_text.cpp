// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/xml_text.hpp"

#include <algorithm>
#include <cstring>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "host/domain/well_formed.hpp"

namespace ipidefer::domain {
namespace {

constexpr std::string_view kXmlBlank = " \t\r\n";
constexpr std::string_view kStep = "  ";

/// Everything is a node, so that everything has a place.
constexpr unsigned kParse = pugi::parse_full | pugi::parse_ws_pcdata;

bool blank(char c) { return kXmlBlank.find(c) != std::string_view::npos; }

std::string escaped(std::string_view text, char quote)
{
    std::string result;
    for (const char c : text) {
        if (c == '&')
            result += "&amp;";
        else if (c == '<')
            result += "&lt;";
        else if (c == '>')
            result += "&gt;";
        else if (c == quote)
            result += c == '"' ? "&quot;" : "&apos;";
        else
            result += c;
    }
    return result;
}

std::string quoted(std::string_view name, std::string_view value, char quote)
{
    std::string text{name};
    text += '=';
    text += quote;
    text += escaped(value, quote);
    text += quote;
    return text;
}

[[noreturn]] void refuse_xml(const std::string& why)
{
    throw Failure{Exit::kCannotRun, "XML: " + why};
}

bool is_text(pugi::xml_node node)
{
    return node.type() == pugi::node_pcdata || node.type() == pugi::node_cdata;
}

}  // namespace

XmlText::XmlText(std::string text) : text_{std::move(text)}
{
    if (const auto end = text_.find('\n');
        end != std::string::npos && end > 0 && text_[end - 1] == '\r')
        newline_ = "\r\n";
    // As most of it is quoted.
    if (std::ranges::count(text_, '"') > std::ranges::count(text_, '\''))
        quote_ = '"';
    read();
}

void XmlText::read()
{
    // libvirt's parser is the judge, also of what a change has made; pugixml
    // takes much that is no XML, and follows elements of any depth.
    if (const std::string fault = xml_fault(text_); !fault.empty())
        refuse_xml(fault);
    // Other encodings would be converted, and places then be others.
    const auto result = document_.load_buffer(text_.data(), text_.size(),
                                              kParse, pugi::encoding_utf8);
    if (!result) {
        const auto at =
            std::min(static_cast<std::size_t>(result.offset), text_.size());
        const auto line =
            1 + std::count(text_.begin(),
                           text_.begin() + static_cast<std::ptrdiff_t>(at),
                           '\n');
        refuse_xml("line " + std::to_string(line) + ": " +
                   result.description());
    }
    if (root().empty()) refuse_xml("there is no element");
    for (const pugi::xml_node node : document_.children()) {
        // What it declares could stand anywhere, and pugixml does not read it.
        if (node.type() == pugi::node_doctype &&
            std::strchr(node.value(), '[') != nullptr)
            refuse_xml(
                "its <!DOCTYPE> declares entities or attributes, which "
                "are not handled");
        if (node.type() == pugi::node_declaration) {
            std::string encoding =
                node.attribute("encoding").as_string("utf-8");
            std::ranges::transform(encoding, encoding.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a')
                                            : c;
            });
            if (encoding != "utf-8" && encoding != "us-ascii")
                refuse_xml("its encoding is '" + printable(encoding) +
                           "', and not UTF-8");
        }
    }
}

pugi::xml_node XmlText::root() const { return document_.document_element(); }

void XmlText::replace(std::size_t at, std::size_t length, const std::string& by)
{
    text_.replace(at, length, by);
    read();
}

// ---- places -----------------------------------------------------------------

XmlText::StartTag XmlText::start_tag(pugi::xml_node element) const
{
    // pugixml has read all this, so it is well-formed.
    std::size_t at = static_cast<std::size_t>(element.offset_debug());
    StartTag tag{at - 1, 0, 0, false, {}};
    at += std::strlen(element.name());
    tag.attributes = at;
    for (;;) {
        at = text_.find_first_not_of(kXmlBlank, at);
        if (text_[at] == '>' || text_[at] == '/') break;
        const std::size_t name = at;
        at = text_.find_first_of(" \t\r\n=", at);
        const std::size_t name_end = at;
        at = text_.find_first_of("'\"", at);
        const char quote = text_[at];
        const std::size_t value = at + 1;
        at = text_.find(quote, value);
        tag.all.push_back(
            {std::string_view{text_}.substr(name, name_end - name), value, at,
             quote});
        tag.attributes = ++at;
    }
    tag.empty = text_[at] == '/';
    tag.end = text_.find('>', at) + 1;
    return tag;
}

std::size_t XmlText::end_of(pugi::xml_node node) const
{
    const auto at = static_cast<std::size_t>(
        std::max<std::ptrdiff_t>(0, node.offset_debug()));
    const auto behind = [&](std::string_view what) {
        return text_.find(what, at) + what.size();
    };
    switch (node.type()) {
        case pugi::node_element:
            if (const StartTag tag = start_tag(node); tag.empty) return tag.end;
            return text_.find('>', end_tag(node)) + 1;
        case pugi::node_pcdata:
            return text_.find('<', at);
        case pugi::node_cdata:
            return behind("]]>");
        case pugi::node_comment:
            return behind("-->");
        case pugi::node_pi:
        case pugi::node_declaration:
            return behind("?>");
        case pugi::node_doctype:
        case pugi::node_document:
        case pugi::node_null:
            break;
    }
    return at;  // not inside an element
}

/// The place of "</", of an element that has one.
std::size_t XmlText::end_tag(pugi::xml_node element) const
{
    const pugi::xml_node last = element.last_child();
    return text_.find("</",
                      last.empty() ? start_tag(element).end : end_of(last));
}

std::string XmlText::indentation(std::size_t at) const
{
    const std::size_t line = text_.rfind('\n', at == 0 ? 0 : at - 1);
    const std::size_t begin = line == std::string::npos ? 0 : line + 1;
    if (begin > at) return {};
    const std::string before = text_.substr(begin, at - begin);
    return before.find_first_not_of(" \t") == std::string::npos ? before
                                                                : std::string{};
}

std::string XmlText::child_indentation(pugi::xml_node parent) const
{
    for (const pugi::xml_node child : parent.children())
        if (child.type() == pugi::node_element) {
            const auto begin = start_tag(child).begin;
            if (const auto line = text_.find_last_not_of(" \t", begin - 1);
                line != std::string::npos && text_[line] == '\n')
                return indentation(begin);
        }
    return indentation(start_tag(parent).begin) + std::string{kStep};
}

// ---- changes ----------------------------------------------------------------

std::string XmlText::format(const Element& element,
                            const std::string& indent) const
{
    std::string text = '<' + element.name;
    for (const auto& [name, value] : element.attributes)
        text += ' ' + quoted(name, value, quote_);
    if (element.children.empty() && element.text.empty()) return text + "/>";
    text += '>';
    text += escaped(element.text, '\0');
    for (const Element& child : element.children) {
        const std::string deeper = indent + std::string{kStep};
        text += newline_ + deeper + format(child, deeper);
    }
    if (!element.children.empty()) text += newline_ + indent;
    return text + "</" + element.name + '>';
}

std::string XmlText::lines(const std::vector<Element>& elements,
                           const std::string& indent) const
{
    std::string text;
    for (const Element& element : elements)
        text += newline_ + indent + format(element, indent);
    return text;
}

void XmlText::set_attributes(const std::vector<AttributeValue>& all)
{
    struct Edit {
        std::size_t at;
        std::size_t length;
        std::string by;
    };
    std::vector<Edit> edits;
    for (const auto& [element, name, value] : all) {
        const StartTag tag = start_tag(element);
        const auto had = std::ranges::find(tag.all, name, &Attribute::name);
        if (had != tag.all.end()) {
            edits.push_back({had->value_begin,
                             had->value_end - had->value_begin,
                             escaped(value, had->quote)});
        } else {
            const char quote = tag.all.empty() ? quote_ : tag.all.back().quote;
            edits.push_back(
                {tag.attributes, 0, ' ' + quoted(name, value, quote)});
        }
    }
    // From the last on, as each moves what is behind it.
    std::ranges::sort(edits, std::ranges::greater{}, &Edit::at);
    for (const Edit& edit : edits) text_.replace(edit.at, edit.length, edit.by);
    read();
}

void XmlText::set_attribute(pugi::xml_node element, std::string_view name,
                            std::string_view value)
{
    set_attributes({{element, std::string{name}, std::string{value}}});
}

void XmlText::append(pugi::xml_node parent,
                     const std::vector<Element>& elements)
{
    const StartTag tag = start_tag(parent);
    const std::string outer = indentation(tag.begin);
    const std::string indent = child_indentation(parent);
    const std::string added = lines(elements, indent);
    if (tag.empty) {
        const std::size_t slash = text_.rfind('/', tag.end);
        const std::size_t from =
            text_.find_last_not_of(kXmlBlank, slash - 1) + 1;
        return replace(from, tag.end - from,
                       '>' + added + newline_ + outer + "</" +
                           std::string{parent.name()} + '>');
    }
    const std::size_t end = end_tag(parent);
    std::size_t at = end;
    while (at > tag.end && blank(text_[at - 1])) --at;
    const bool own_line = text_.find('\n', at) < end;
    replace(at, 0, own_line ? added : added + newline_ + outer);
}

void XmlText::insert_after(pugi::xml_node sibling,
                           const std::vector<Element>& elements)
{
    replace(end_of(sibling), 0,
            lines(elements, child_indentation(sibling.parent())));
}

void XmlText::set_text(pugi::xml_node element, std::string_view text)
{
    for (const pugi::xml_node child : element.children())
        if (!is_text(child))
            refuse_xml(std::string{"<"} + element.name() +
                       "> has more in it than text");
    const StartTag tag = start_tag(element);
    if (tag.empty) {
        const std::size_t slash = text_.rfind('/', tag.end);
        return replace(slash, tag.end - slash,
                       '>' + escaped(text, '\0') + "</" +
                           std::string{element.name()} + '>');
    }
    replace(tag.end, end_tag(element) - tag.end, escaped(text, '\0'));
}

}  // namespace ipidefer::domain

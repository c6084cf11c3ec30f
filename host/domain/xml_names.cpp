// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/xml_names.hpp"

namespace ipidefer::domain {
namespace {

constexpr std::string_view kDeclaration = "xmlns";

/// Whether this attribute is the declaration of the prefix.
bool declares(std::string_view attribute, std::string_view prefix)
{
    if (!attribute.starts_with(kDeclaration)) return false;
    attribute.remove_prefix(kDeclaration.size());
    if (prefix.empty()) return attribute.empty();
    return attribute.starts_with(':') && attribute.substr(1) == prefix;
}

}  // namespace

std::string_view prefix_of(std::string_view name)
{
    const auto colon = name.find(':');
    return colon == std::string_view::npos ? std::string_view{}
                                           : name.substr(0, colon);
}

std::string_view local_name(std::string_view name)
{
    const auto colon = name.find(':');
    return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string_view uri_of_prefix(pugi::xml_node element, std::string_view prefix)
{
    for (; element; element = element.parent())
        for (const pugi::xml_attribute attribute : element.attributes())
            if (declares(attribute.name(), prefix)) return attribute.value();
    return {};
}

std::vector<pugi::xml_node> children_named(pugi::xml_node parent,
                                           std::string_view uri,
                                           std::string_view name)
{
    std::vector<pugi::xml_node> found;
    for (const pugi::xml_node child : parent.children())
        if (child.type() == pugi::node_element &&
            local_name(child.name()) == name &&
            uri_of_prefix(child, prefix_of(child.name())) == uri)
            found.push_back(child);
    return found;
}

}  // namespace ipidefer::domain

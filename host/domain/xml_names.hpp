// SPDX-License-Identifier: GPL-2.0-or-later
// XML names: namespaces of elements by URI, as libvirt sees them. A prefix is
// its author's choice, and may be none at all.
#pragma once

#include <pugixml.hpp>
#include <string_view>
#include <vector>

namespace ipidefer::domain {

/// What stands before the colon of a name, and behind it; nothing and the name
/// where there is no colon.
[[nodiscard]] std::string_view prefix_of(std::string_view name);
[[nodiscard]] std::string_view local_name(std::string_view name);

/// What `prefix` stands for in this element: the nearest declaration counts, on
/// the element or around it. Empty: none. An empty prefix asks for the default
/// namespace. Valid as long as the document is not changed.
[[nodiscard]] std::string_view uri_of_prefix(pugi::xml_node element,
                                             std::string_view prefix);

/// The children of that local name in the namespace, whatever their prefix, in
/// their order.
[[nodiscard]] std::vector<pugi::xml_node> children_named(pugi::xml_node parent,
                                                         std::string_view uri,
                                                         std::string_view name);

}  // namespace ipidefer::domain

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/well_formed.hpp"

#include <libxml/parser.h>

#include <algorithm>
#include <memory>

#include "base/text.hpp"

namespace ipidefer::domain {
namespace {

struct Free {
    void operator()(xmlParserCtxt* context) const
    {
        ::xmlFreeParserCtxt(context);
    }
    void operator()(xmlDoc* document) const { ::xmlFreeDoc(document); }
};

/// Keeps the first error: those behind it mostly follow from it.
void keep_first(void* context, xmlErrorPtr error)
{
    auto& fault = *static_cast<std::string*>(
        static_cast<xmlParserCtxt*>(context)->_private);
    // Warnings and, as libvirt has it, namespaces that nothing declares.
    if (error->level != XML_ERR_FATAL || !fault.empty()) return;
    std::string message = error->message == nullptr ? "" : error->message;
    // What follows is advice to programmers.
    message.erase(std::min(message.find(" use XML_PARSE_HUGE"),
                           message.find_last_not_of('\n') + 1));
    fault = "line " + std::to_string(error->line) + ": " + printable(message);
}

}  // namespace

std::string xml_fault(const std::string& text)
{
    if (text.size() > kMostXmlBytes)
        return "it has " + std::to_string(text.size()) +
               " bytes, and virsh reads at most " +
               std::to_string(kMostXmlBytes);
    // To libxml2 a NUL behind the root is the end, whatever follows.
    if (const auto at = text.find('\0'); at != std::string::npos)
        return "byte " + std::to_string(at) + " is NUL";
    const std::unique_ptr<xmlParserCtxt, Free> context{::xmlNewParserCtxt()};
    if (!context) return "there is no memory to parse it";
    std::string fault;
    context->_private = &fault;
    context->sax->serror = &keep_first;
    const std::unique_ptr<xmlDoc, Free> document{::xmlCtxtReadMemory(
        context.get(), text.data(), static_cast<int>(text.size()), nullptr,
        "UTF-8", XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)};
    if (document) return "";
    return fault.empty() ? "line 1: it is no XML" : fault;
}

}  // namespace ipidefer::domain

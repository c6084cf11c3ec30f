// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/libvirt/connection.hpp"

#include <array>
#include <cstdlib>

#include "base/text.hpp"
#include "host/libvirt/library.hpp"

namespace ipidefer::libvirt {

void CloseConnection::operator()(virConnectPtr connection) const noexcept
{
    library().virConnectClose(connection);
}

void FreeDomain::operator()(virDomainPtr domain) const noexcept
{
    library().virDomainFree(domain);
}

Failure failed(const std::string& what)
{
    const char* why = library().virGetLastErrorMessage();
    return Failure{Exit::kCannotRun,
                   what + ": " + (why == nullptr ? "" : printable(why))};
}

ConnectionPtr connect(const std::string& uri)
{
    ConnectionPtr connection{
        library().virConnectOpenReadOnly(uri.empty() ? nullptr : uri.c_str())};
    if (connection == nullptr)
        throw failed(uri.empty() ? std::string{"cannot connect to libvirt"}
                                 : "cannot connect to libvirt at '" +
                                       printable(uri) + "'");
    return connection;
}

DomainPtr find_domain(virConnectPtr connection, const std::string& name)
{
    DomainPtr domain{library().virDomainLookupByName(connection, name.c_str())};
    if (domain == nullptr) {
        Failure failure = failed("no domain '" + printable(name) + "'");
        domain.reset(
            library().virDomainLookupByUUIDString(connection, name.c_str()));
        if (domain == nullptr) throw failure;
    }
    return domain;
}

std::string xml_of(virDomainPtr domain)
{
    // Without what is secret, which a read-only connection does not give.
    char* text = library().virDomainGetXMLDesc(domain, 0);
    if (text == nullptr) throw failed("cannot read a domain's XML");
    std::string xml{text};
    std::free(text);
    return xml;
}

std::string name_of(virDomainPtr domain)
{
    const char* name = library().virDomainGetName(domain);
    if (name == nullptr) throw failed("a domain has no name");
    return name;
}

std::string uuid_of(virDomainPtr domain)
{
    std::array<char, VIR_UUID_STRING_BUFLEN> text{};
    if (library().virDomainGetUUIDString(domain, text.data()) < 0)
        throw failed("a domain has no UUID");
    return text.data();
}

bool is_active(virDomainPtr domain)
{
    int state = VIR_DOMAIN_NOSTATE;
    if (library().virDomainGetState(domain, &state, nullptr, 0) < 0)
        throw failed("cannot read a domain's state");
    return state != VIR_DOMAIN_SHUTOFF && state != VIR_DOMAIN_CRASHED &&
           state != VIR_DOMAIN_NOSTATE;
}

std::vector<DomainPtr> active_domains(virConnectPtr connection)
{
    virDomainPtr* all = nullptr;
    const int count = library().virConnectListAllDomains(
        connection, &all, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    if (count < 0) throw failed("cannot list domains");
    std::vector<DomainPtr> domains;
    for (int i = 0; i < count; ++i) domains.emplace_back(all[i]);
    std::free(all);
    return domains;
}

}  // namespace ipidefer::libvirt

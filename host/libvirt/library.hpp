// SPDX-License-Identifier: GPL-2.0-or-later
// Library: libvirt's client library, loaded when it is first needed. Whoever
// does not use libvirt need not install it.
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

namespace ipidefer::libvirt {

#define IPIDEFER_LIBVIRT_FUNCTIONS(FUNCTION)     \
    FUNCTION(virConnectClose)                    \
    FUNCTION(virConnectDomainEventRegisterAny)   \
    FUNCTION(virConnectDomainEventDeregisterAny) \
    FUNCTION(virConnectListAllDomains)           \
    FUNCTION(virConnectOpenReadOnly)             \
    FUNCTION(virConnectRegisterCloseCallback)    \
    FUNCTION(virConnectSetKeepAlive)             \
    FUNCTION(virConnectUnregisterCloseCallback)  \
    FUNCTION(virDomainFree)                      \
    FUNCTION(virDomainGetName)                   \
    FUNCTION(virDomainGetState)                  \
    FUNCTION(virDomainGetUUIDString)             \
    FUNCTION(virDomainGetXMLDesc)                \
    FUNCTION(virDomainLookupByName)              \
    FUNCTION(virDomainLookupByUUIDString)        \
    FUNCTION(virEventAddTimeout)                 \
    FUNCTION(virEventRegisterDefaultImpl)        \
    FUNCTION(virEventRemoveTimeout)              \
    FUNCTION(virEventRunDefaultImpl)             \
    FUNCTION(virEventUpdateTimeout)              \
    FUNCTION(virGetLastErrorMessage)             \
    FUNCTION(virInitialize)                      \
    FUNCTION(virSetErrorFunc)

/// Its functions, by their own names.
struct Library {
#define IPIDEFER_LIBVIRT_MEMBER(name) decltype(&::name) name = nullptr;
    IPIDEFER_LIBVIRT_FUNCTIONS(IPIDEFER_LIBVIRT_MEMBER)
#undef IPIDEFER_LIBVIRT_MEMBER
};

/// Loads it with the first call. Throws a Failure with Exit::kNotPossible when
/// it is not there.
[[nodiscard]] const Library& library();

}  // namespace ipidefer::libvirt

// SPDX-License-Identifier: GPL-2.0-or-later
// Domains and hosts for tests.
#pragma once

#include <stdexcept>
#include <string>

#include "host/check/host_cpus.hpp"
#include "host/domain/emulator.hpp"

namespace ipidefer::domain::test {

/// As somebody may have it: with comments, a boot disk and nothing on
/// isolation.
inline const std::string kPlain = R"(<domain type='kvm'>
  <!-- the web server -->
  <name>web1</name>
  <uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>
  <memory unit='MiB'>512</memory>
  <vcpu placement='static'>4</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
    <acpi/>
  </features>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>  <!-- odd spacing,
                                            kept -->
      <source file = "/srv/web1.img" />
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
)";

/// Boots a kernel directly, without KVM.
inline const std::string kDirect = R"(<domain type="qemu">
  <name>lab</name>
  <memory unit="MiB">512</memory>
  <vcpu>4</vcpu>
  <iothreads>1</iothreads>
  <os>
    <type arch="x86_64" machine="q35">hvm</type>
    <kernel>/boot/bzImage</kernel>
    <cmdline>console=ttyS0 -- single</cmdline>
  </os>
  <devices/>
</domain>
)";

/// The first `from` as `to`.
inline std::string replaced(std::string text, const std::string& from,
                            const std::string& to)
{
    const auto at = text.find(from);
    if (at == std::string::npos) throw std::invalid_argument{"no " + from};
    return text.replace(at, from.size(), to);
}

/// An emulator that has the object, with all that it can do.
inline Emulator patched()
{
    return {true, true, {"isolated-cpus", "segment", "doorbell"}, ""};
}

/// Eight CPUs, of which 4-7 are isolated; 0-1, 2-3 and so on share a core.
inline check::HostCpus host()
{
    check::HostCpus host{
        {0, 1, 2, 3, 4, 5, 6, 7}, {4, 5, 6, 7}, {4, 5, 6, 7}, {}};
    for (const unsigned cpu : host.online)
        host.siblings[cpu] = {cpu & ~1U, cpu | 1U};
    return host;
}

}  // namespace ipidefer::domain::test

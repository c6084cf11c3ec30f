// SPDX-License-Identifier: GPL-2.0-or-later
// Page: what a browser shows of the fleet, without anything from elsewhere. All
// that a VM or an operator can name is escaped; a page that is wrong about that
// still runs nothing, as its policy lets only the page's own script run.
#pragma once

#include <string>

#include "host/daemon/snapshot.hpp"

namespace ipidefer::daemon {

/// What changes: findings and tables.
/// @param before for rates; null, or the same as now: there are none
[[nodiscard]] std::string page_body(const SnapshotPtr& before,
                                    const SnapshotPtr& now);

/// The whole page around it.
/// @param nonce that no page had before
[[nodiscard]] std::string page(const std::string& body,
                               const std::string& nonce);

/// What the browser is told to let it do (Content-Security-Policy).
[[nodiscard]] std::string page_policy(const std::string& nonce);

/// 128 random bits, in hexadecimal digits.
[[nodiscard]] std::string page_nonce();

/// `body` as an event of a stream of server-sent events.
[[nodiscard]] std::string page_event(const std::string& body);

}  // namespace ipidefer::daemon

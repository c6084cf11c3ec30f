// SPDX-License-Identifier: GPL-2.0-or-later
// Control: a unix socket, one JSON object per line each way. Everybody can
// connect; whom the kernel says it is (SO_PEERCRED) decides who may ask, who
// may also change, and who is told that neither is so. Those take no place from
// others.
//
//   {"command": "status"}                     -> {"vms": [...], "broken": {}}
//   {"command": "policy", "vm": "web1",
//    "policy": {"enabled": "off"}}            -> {"changes": ["enabled ..."]}
//   {"command": "reload"}                     -> {"reloaded": true}
//   anything that cannot be done              -> {"error": "..."}
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <string>

namespace ipidefer::daemon {

struct Peer {
    uid_t uid;
    pid_t pid;
};

/// One request, one answer, both without the end of the line.
using Answer = std::function<std::string(const std::string&, const Peer&)>;

/// What to tell somebody who may not even ask, without the end of the line;
/// empty: may.
using Refusal = std::function<std::string(const Peer&)>;

/// Serves until the acceptor is closed.
[[nodiscard]] boost::asio::awaitable<void> serve_control(
    boost::asio::local::stream_protocol::acceptor& acceptor, Refusal refusal,
    Answer answer);

}  // namespace ipidefer::daemon

// SPDX-License-Identifier: GPL-2.0-or-later
// The page's fixed parts.
#pragma once

namespace ipidefer::daemon {

inline constexpr char kPage[] = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>ipideferd</title>
<noscript><meta http-equiv="refresh" content="5"></noscript>
<style nonce="{nonce}">{style}</style>
</head>
<body>
<header><h1>ipideferd {version}</h1><p id="live">As it was when this page was asked for.</p></header>
<main>
{body}</main>
<footer><p>Rates are of a second. What the columns mean: ipidefer(1), and
docs/OPERATING.md. For Prometheus: <a href="/metrics">/metrics</a>.</p></footer>
<script nonce="{nonce}">{script}</script>
</body>
</html>
)";

inline constexpr char kStyle[] = R"(
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 1rem auto; max-width: 75rem; padding: 0 1rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1.5rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; border-bottom: 1px solid #8884; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
main { overflow-x: auto; }
ul { margin: 0; padding-left: 1.2rem; } li b { overflow-wrap: anywhere; }
.good { margin: 0; } .old { opacity: .6; }
)";

/// What the server sends replaces what is there; the server has escaped it.
inline constexpr char kScript[] = R"(
"use strict";
const main = document.querySelector("main"), live = document.getElementById("live");
const events = new EventSource("/events");
events.onmessage = event => {
  main.innerHTML = event.data;
  main.className = "";
  live.textContent = "Live.";
};
events.onerror = () => {
  main.className = "old";
  live.textContent = "Not connected: this is what was last known.";
};
)";

inline constexpr char kVmTableHead[] =
    "<h2>VMs</h2>\n<table id=vms>\n<tr><th scope=col>VM<th scope=col>State"
    "<th scope=col>Policy<th scope=col>Owner<th scope=col class=n>deferred/s"
    "<th scope=col class=n>coalesced/s<th scope=col class=n>delivered/s"
    "<th scope=col class=n>recorded<th scope=col class=n>delivered"
    "<th scope=col class=n>oldest\n";

/// Name, producer, PID and ID of the VM.
inline constexpr char kVcpuTableHead[] =
    "<h2>{}</h2>\n<p>{}, PID {}, {}</p>\n<table>\n<tr><th scope=col>vCPU"
    "<th scope=col>Policy<th scope=col>Guest<th scope=col>Context"
    "<th scope=col class=n>deferred/s<th scope=col class=n>coalesced/s"
    "<th scope=col class=n>delivered/s<th scope=col class=n>recorded"
    "<th scope=col class=n>delivered<th scope=col class=n>oldest\n";

}  // namespace ipidefer::daemon

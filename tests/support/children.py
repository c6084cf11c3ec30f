# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that tests start end with their test, also if that is killed, as by ctest for
taking too long: a guest that spins on would disturb all that run after it."""


def mortal(command, signal="KILL"):
    """@return the command, which gets this signal when the thread that starts it ends"""
    return ["setpriv", "--pdeathsig", signal, *command]

"""Runs the other programs of a script so that none is left behind when the script is interrupted."""

import contextlib
import ctypes
import os
import signal
import subprocess

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with_parent():
    """For `preexec_fn`: the child gets SIGKILL when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def stop_on_signals():
    """Ctrl-C, TERM and HUP unwind the stack, so that every `with` closes what it opened."""

    def unwind(number, _frame):
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the clean-up
        raise SystemExit(128 + number)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, unwind)


def run(argv, on_line=None, own_group=True, **options):
    """Runs a command to its end and returns its exit status. With `on_line`, its output goes there, line by line.

    If we are interrupted, so is it, with all it started (`own_group`; not for sudo, which must stay in the terminal's
    foreground group to ask for a password, and passes signals on by itself).
    """
    process = subprocess.Popen(argv, stdin=None if not own_group else subprocess.DEVNULL,
                               process_group=0 if own_group else None, text=True,
                               stdout=subprocess.PIPE if on_line else None,
                               stderr=subprocess.STDOUT if on_line else None, **options)
    try:
        if on_line:
            for line in process.stdout:
                on_line(line)
        return process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if own_group else os.kill)(process.pid, signal.SIGTERM)
        process.wait()
        raise

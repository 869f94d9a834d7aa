"""Network namespaces joined by veth pairs.

`enter_private()` moves the rest of the program into its own PID and mount namespace: names in /run/netns are then
seen by nobody else, so any number of labs run side by side, and when the program ends, however it ends, the kernel
ends every process in it and with the last of them go namespaces and veth pairs. A lab that is to stay (scripts/demo
--keep) does without and is taken down by `remove(prefix)`.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time

import child

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000  # <linux/sched.h>


class LabError(Exception):
    """Something of the lab itself, not of Weir, did not work; the text is for the user."""


def run(*argv, check=True):
    """Runs a short command; a failure is a LabError that quotes what it said."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise LabError(f"`{' '.join(argv)}` failed: {(done.stderr or done.stdout).strip() or done.returncode}")
    return done


def enter_private():
    """Returns in a child that is process 1 of a private world; the caller itself waits there and exits as it did."""
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and needs root; run it with sudo")
    if _libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID) != 0:
        raise LabError(f"cannot make a namespace: {os.strerror(ctypes.get_errno())}; "
                       "in a container, start it with --privileged")
    # Held back until the handlers below stand, so that none is lost.
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    pid = os.fork()
    if pid != 0:
        for each in held:
            # A terminal sends Ctrl-C to both; the child takes the first and ignores the rest.
            signal.signal(each, lambda number, _frame: os.kill(pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held)
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
    child.die_with_parent()
    child.stop_on_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, held)
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "proc", "proc", "/proc")
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "netns", "/run/netns")


class Namespace:
    """One network namespace. `exec_argv` is what runs a command in it."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        # Nothing of the lab autoconfigures itself; addresses are usable at once.
        self.sysctl("net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0",
                    "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        self.ip("link", "set", "lo", "up")

    def exec_argv(self, *argv):
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv, check=True):
        return run(*self.exec_argv(*argv), check=check)

    def ip(self, *args):
        return run("ip", "-n", self.name, *args)

    def sysctl(self, *settings):
        self.run("sysctl", "-qw", *settings)

    @contextlib.contextmanager
    def entered(self):
        """The calling thread's new sockets belong to this namespace; other threads stay where they are."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            _setns(there)
            try:
                yield
            finally:
                _setns(home)


def _setns(file):
    if _libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
        raise LabError(f"cannot enter {file.name}: {os.strerror(ctypes.get_errno())}")


def wire(left, left_device, left_mac, right, right_device, right_mac):
    """A veth pair between two namespaces, up, with fixed MACs and every offload off at both ends.

    With checksum or segmentation offload on, the kernel leaves partial checksums and 64 KiB segments on a veth, which
    nobody completes where the other end is a DPDK port.
    """
    run("ip", "link", "add", left_device, "address", left_mac, "netns", left.name,
        "type", "veth", "peer", "name", right_device, "address", right_mac, "netns", right.name)
    for namespace, device in ((left, left_device), (right, right_device)):
        namespace.run("ethtool", "-K", device, *"tx off rx off tso off gso off gro off".split())
        namespace.ip("link", "set", device, "up")


def for_dpdk(namespace, device):
    """Silences the kernel on a device that a DPDK port is to own: no address, no ARP, no IPv6."""
    namespace.sysctl(f"net.ipv6.conf.{device}.disable_ipv6=1")
    namespace.ip("link", "set", device, "arp", "off")


def existing(prefix):
    listed = run("ip", "netns", "list", check=False).stdout.split("\n")
    return [line.split()[0] for line in listed if line.startswith(prefix)]


def remove(prefix):
    """Ends every process in the namespaces with this prefix, and the namespaces. Returns how many there were."""
    names = existing(prefix)
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 3
        while (pids := _pids_in(names)) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(0.1)
    for name in names:
        run("ip", "netns", "del", name)
    return len(names)


def _pids_in(names):
    found = (run("ip", "netns", "pids", name, check=False).stdout.split() for name in names)
    return {int(pid) for pids in found for pid in pids} - {os.getpid()}


def say(text):
    print(text, flush=True)


def fail(text):
    print(text, file=sys.stderr, flush=True)

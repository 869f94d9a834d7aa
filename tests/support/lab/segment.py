"""A segment as its hosts see it: who says that an address is where, and what they answer when asked.

Frames are read and written through packet sockets, beside the kernel's own stack, which does not notice.
"""

import collections
import contextlib
import socket
import struct
import threading
import time

_ETH_P_ALL = 0x0003
_ARP, _IPV6 = 0x0806, 0x86DD
BROADCAST, ALL_NODES = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"

# One announcement: an ARP packet or neighbour advertisement whose sender or target is `address`. `kind` is "request",
# "reply", "gratuitous" (a request for oneself) or "advertisement"; `solicited` is the advertisement's flag.
Heard = collections.namedtuple("Heard", "at kind address mac to solicited override hop_limit")


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def mac_text(data):
    return ":".join(f"{byte:02x}" for byte in data)


def _socket(namespace, device):
    with namespace.entered():
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    link.bind((device, _ETH_P_ALL))
    return link


class Listener:
    """`with Listener(namespace, device) as heard:` keeps what arrives there about any address, in order."""

    def __init__(self, namespace, device):
        self._socket = _socket(namespace, device)
        self._socket.settimeout(0.1)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._all = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def of(self, address, kind=None, mac=None):
        with self._lock:
            return [h for h in self._all if h.address == address and kind in (None, h.kind) and mac in (None, h.mac)]

    def clear(self):
        with self._lock:
            self._all.clear()

    def _run(self):
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError, OSError):  # the device may be down for a while
                frame, origin = self._socket.recvfrom(2048)
                if origin[2] == socket.PACKET_OUTGOING:
                    continue
                if heard := _read(frame, time.monotonic()):
                    with self._lock:
                        self._all.append(heard)


def _read(frame, at):
    to, ether_type = mac_text(frame[:6]), int.from_bytes(frame[12:14], "big")
    if ether_type == _ARP and len(frame) >= 42:
        operation = int.from_bytes(frame[20:22], "big")
        sender, target = frame[28:32], frame[38:42]
        kind = "reply" if operation == 2 else "gratuitous" if sender == target else "request"
        return Heard(at, kind, socket.inet_ntoa(sender), mac_text(frame[22:28]), to, False, False, 0)
    if ether_type == _IPV6 and len(frame) >= 78 and frame[20] == 58 and frame[54] == 136:
        mac = mac_text(frame[80:86]) if len(frame) >= 86 and frame[78] == 2 else mac_text(frame[6:12])
        address = socket.inet_ntop(socket.AF_INET6, frame[62:78])
        return Heard(at, "advertisement", address, mac, to, bool(frame[58] & 0x40), bool(frame[58] & 0x20), frame[21])
    return None


def send(namespace, device, frame):
    with contextlib.closing(_socket(namespace, device)) as link:
        link.send(frame)


def arp(operation, sender_mac, sender, target_mac, target, to=BROADCAST):
    return (mac_bytes(to) + mac_bytes(sender_mac) + struct.pack("!HHHBBH", _ARP, 1, 0x0800, 6, 4, operation) +
            mac_bytes(sender_mac) + socket.inet_aton(sender) + mac_bytes(target_mac) + socket.inet_aton(target))


def advertisement(mac, address, to=ALL_NODES):
    """Unsolicited, to all nodes, overriding: "`address` is at `mac`"."""
    source, group = socket.inet_pton(socket.AF_INET6, address), socket.inet_pton(socket.AF_INET6, "ff02::1")
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + source + b"\2\1" + mac_bytes(mac)
    return _icmp6(mac, to, source, group, body)


def solicitation(mac, source, target):
    wanted = socket.inet_pton(socket.AF_INET6, target)
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + wanted[13:]
    body = struct.pack("!BBHI", 135, 0, 0, 0) + wanted + b"\1\1" + mac_bytes(mac)
    return _icmp6(mac, "33:33:ff:" + mac_text(wanted[13:]), socket.inet_pton(socket.AF_INET6, source), group, body)


def _icmp6(mac, to, source, destination, body):
    total = sum(struct.unpack(f"!{len(body) // 2}H", body)) + len(body) + 58
    total += sum(struct.unpack("!16H", source + destination))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    body = body[:2] + struct.pack("!H", checksum) + body[4:]
    return (mac_bytes(to) + mac_bytes(mac) + struct.pack("!HIHBB", _IPV6, 6 << 28, len(body), 58, 255) + source +
            destination + body)


def ask(namespace, device, mac, source, target, wait_s=1):
    """The MAC that answers "who has `target`?", asked from `source` at `mac`; None after `wait_s` without an answer."""
    if ":" in target:
        question, kind = solicitation(mac, source, target), "advertisement"
    else:
        question, kind = arp(1, mac, source, "00:00:00:00:00:00", target), "reply"
    with Listener(namespace, device) as heard:
        send(namespace, device, question)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if answers := heard.of(target, kind):
                return answers[0].mac
            time.sleep(0.02)
    return None


def neighbor(namespace, address, device):
    """The MAC that the kernel has for an address; None where it has none."""
    words = namespace.ip("neigh", "show", "to", address, "dev", device).stdout.split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else None

"""Frames at the highest rate that this bed makes, from the client's namespace, each from another source port or address.

Run as a program it is the sender itself: `flood.py KIND MAC`; it prints how many frames it has sent when it is ended.
"""

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time

CLIENT, UPLINK, FAR = "198.51.100.2", "198.51.100.1", "192.0.2.1"
CLIENT_MAC = bytes.fromhex("020000000102")


def _ipv4(protocol, source, destination, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0,
                         socket.inet_aton(source), socket.inet_aton(destination))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    return header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + header[12:] + payload


def _tcp(source, destination, flags):
    return struct.pack("!HHIIBBHHH", source, destination, 1, 1, 0x50, flags, 65535, 0, 0)


def _arp(mac):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, CLIENT_MAC, socket.inet_aton(CLIENT), b"\0" * 6,
                       socket.inet_aton(UPLINK))


# The Ethernet type and what follows it, by a random number. Checksums of TCP are wrong: the kernel looks and drops.
KINDS = {
    "ARP requests": lambda n: (0x0806, _arp(n)),
    "BGP SYNs": lambda n: (0x0800, _ipv4(6, CLIENT, UPLINK, _tcp(1024 + n % 60000, 179, 0x02))),
    "BGP segments": lambda n: (0x0800, _ipv4(6, CLIENT, UPLINK, _tcp(1024 + n % 60000, 179, 0x10))),
    "SYNs to SSH": lambda n: (0x0800, _ipv4(6, CLIENT, UPLINK, _tcp(1024 + n % 60000, 22, 0x02))),
    "transit": lambda n: (0x0800, _ipv4(17, CLIENT, FAR, struct.pack("!HHHH", 1024 + n % 60000, 9, 8, 0))),
}


# The class that each is punted as, and how many a second and worker it may be: lb/punt_class.h.
LIMITS = {"ARP requests": ("solicit", 2000), "BGP SYNs": ("bgp_new", 1000), "BGP segments": ("bgp_new", 1000),
          "SYNs to SSH": ("own", 10_000), "transit": ("transit", 20_000)}


def frames(kind, mac, count=256):
    made = []
    for n in range(count):
        ethertype, rest = KINDS[kind](random.Random(n).randrange(1 << 24))
        destination = b"\xff" * 6 if ethertype == 0x0806 else bytes.fromhex(mac.replace(":", ""))
        made.append((destination + CLIENT_MAC + struct.pack("!H", ethertype) + rest).ljust(60, b"\0"))
    return made


class Flood:
    """`with Flood(site, kind, mac) as flood:` floods until the block ends; then `flood.sent` is how many there were."""

    def __init__(self, site, kind, mac):
        self.sent = 0
        self._process = subprocess.Popen(
            site.namespace("client").exec_argv(sys.executable, "-ES", os.path.abspath(__file__), kind, mac),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        site.processes.append(self._process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        said, _ = self._process.communicate()
        self.sent = int(said or 0)


def _tagged(vlan, destination, ethertype, rest):
    return (bytes.fromhex(destination.replace(":", "")) + CLIENT_MAC + struct.pack("!HHH", 0x8100, vlan, ethertype) +
            rest).ljust(64, b"\0")


def _hear(listener, vlan, is_wanted, wait_s=2.0):
    """Whether a frame with this tag comes that is wanted. The kernel takes tags out and tells them beside the frame."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        try:
            frame, beside, _, _ = listener.recvmsg(2048, 256)
        except TimeoutError:
            continue
        for level, kind, data in beside:
            if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                status, _, _, _, _, tag, _ = struct.unpack("IIIHHHH", data[:20])
                if status & _TP_STATUS_VLAN_VALID and tag & 0xfff == vlan and is_wanted(frame):
                    return True
    return False


_SOL_PACKET, _PACKET_AUXDATA, _TP_STATUS_VLAN_VALID = 263, 8, 0x10  # <linux/if_packet.h>


def _listener(namespace):
    with namespace.entered():
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    listener.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    listener.bind(("eth0", 3))
    listener.settimeout(0.2)
    return listener


def tagged_echoes(namespace, mac, vlan, count):
    """Sends ICMP echo requests in a VLAN from the client; how many are answered in it."""
    answered = 0
    with _listener(namespace) as listener:
        for n in range(count):
            echo = struct.pack("!BBHHH", 8, 0, 0xffff - 0x0800 - 7 - n, 7, n)  # checksum of nothing else
            listener.send(_tagged(vlan, mac, 0x0800, _ipv4(1, CLIENT, UPLINK, echo)))
            answered += _hear(listener, vlan, lambda f, n=n: f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 0 and
                              f[38:42] == struct.pack("!HH", 7, n))
    return answered


def tagged_question(namespace, box, vlan):
    """Whether the box's kernel asks for the client by ARP in that VLAN when it has something to send there."""
    with _listener(namespace) as listener, box.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"?", (CLIENT, 9))
        return _hear(listener, vlan, lambda f: f[12:14] == b"\x08\x06" and f[38:42] == socket.inet_aton(CLIENT))


def main():
    made, sent, ending = frames(sys.argv[1], sys.argv[2]), 0, []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("eth0", 0))
        while not ending:
            for frame in made:
                try:
                    sender.send(frame)
                    sent += 1
                except OSError:  # its queue is full
                    pass
    print(sent)


if __name__ == "__main__":
    main()

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

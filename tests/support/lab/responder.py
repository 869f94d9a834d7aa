"""Runs in a backend's namespace beside nginx: `responder.py NAME DNS_PORT SINK_PORT`.

UDP: a DNS server that answers every question with one TXT record, its name (RFC 1035). TCP: an upload sink that reads
a line with a byte count, then as many bytes, and answers with their SHA-256. Both listen on IPv4 and IPv6.
"""

import hashlib
import socket
import socketserver
import sys
import threading


def dns_answer(question, name):
    """The response to a query with one question, as RFC 1035 part 4 lays it out."""
    end = question.index(b"\0", 12) + 5  # the name's end, then type and class
    header = question[:2] + b"\x84\x00" + b"\0\1" + b"\0\1" + b"\0\0" + b"\0\0"  # response, authoritative; 1 answer
    text = bytes([len(name)]) + name.encode()
    # 0xc00c points back to the question's name; TXT, IN, a TTL of 0.
    record = b"\xc0\x0c" + b"\0\x10" + b"\0\1" + b"\0\0\0\0" + len(text).to_bytes(2, "big") + text
    return header + question[12:end] + record


def serve_dns(name, port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    server.bind(("::", port))
    while True:
        question, client = server.recvfrom(4096)
        if len(question) >= 17:
            server.sendto(dns_answer(question, name), client)


class Sink(socketserver.StreamRequestHandler):
    def handle(self):
        left = int(self.rfile.readline())
        digest = hashlib.sha256()
        while left > 0 and (piece := self.rfile.read(min(left, 1 << 16))):
            digest.update(piece)
            left -= len(piece)
        self.wfile.write(digest.hexdigest().encode() + b"\n")


class SinkServer(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


def main():
    name, dns_port, sink_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    threading.Thread(target=SinkServer(("::", sink_port), Sink).serve_forever, daemon=True).start()
    serve_dns(name, dns_port)


if __name__ == "__main__":
    main()

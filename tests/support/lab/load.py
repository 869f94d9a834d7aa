"""Clients. Each works in the namespace it is given, in threads of this program, and reports what it counted.

None retries: a request that did not get its whole answer on its first connection is a failed one.
"""

import collections
import contextlib
import hashlib
import http.client
import json
import os
import socket
import struct
import subprocess
import threading
import time

TIMEOUT_S = 10
REFUSED = "refused"  # a RST to a SYN, or ICMP port unreachable


class Tally:
    """Answers by backend name and failures by reason; threads add to their own and the sum is made at the end."""

    def __init__(self):
        self.answers = collections.Counter()
        self.failures = collections.Counter()

    def __iadd__(self, other):
        self.answers += other.answers
        self.failures += other.failures
        return self

    @property
    def failed(self):
        return self.failures.total()

    def why(self):
        return ", ".join(f"{count} x {reason}" for reason, count in self.failures.most_common(5)) or "none failed"


def _in_threads(namespace, count, threads, work):
    """Runs `work(tally, indices)` in threads inside the namespace and sums their tallies."""
    tallies = [Tally() for _ in range(threads)]

    def body(tally, indices):
        with namespace.entered():
            work(tally, indices)

    running = [threading.Thread(target=body, args=(tallies[i], range(i, count, threads)), daemon=True)
               for i in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    total = Tally()
    for tally in tallies:
        total += tally
    return total


def requests(namespace, address, port, count, threads=8, first_source_port=None):
    """`count` HTTP requests, a connection each. With `first_source_port`, request i comes from that port + i, and
    the tally's `by_port` maps each to the name that answered.
    """
    by_port = {}

    def work(tally, indices):
        for index in indices:
            source_port = 0 if first_source_port is None else first_source_port + index
            if name := _count_request(tally, address, port, source_port):
                by_port[source_port] = name

    total = _in_threads(namespace, count, threads, work)
    total.by_port = by_port
    return total


class Requests:
    """Requests one after another, a connection each, until `stop()`, which returns their tally. `slowest_s`: how long the
    slowest took, which is how long a client had to wait for a way that worked."""

    def __init__(self, namespace, address, port):
        self._stop = threading.Event()
        self._tally = Tally()

        def work():
            with namespace.entered():
                while not self._stop.is_set():
                    began = time.monotonic()
                    _count_request(self._tally, address, port)
                    self.slowest_s = max(self.slowest_s, time.monotonic() - began)

        self.slowest_s = 0
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self._tally


def _count_request(tally, address, port, source_port=0):
    """One request; counts it and returns the backend's name, or None if it failed."""
    try:
        name = _one_request(address, port, source_port)
    except (OSError, ValueError) as error:
        tally.failures[_reason(error)] += 1
        return None
    tally.answers[name] += 1
    return name


def _one_request(address, port, source_port):
    question = f"GET / HTTP/1.1\r\nHost: {host(address)}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((address, port), TIMEOUT_S, ("", source_port)) as connection:
        connection.sendall(question)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or not body.endswith(b"\n"):
        raise ValueError(f"answer {answer[:40]!r}")
    return body.decode().strip()


def host(address):
    return f"[{address}]" if ":" in address else address


def _reason(error):
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    return "timeout" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def dns_question(identity):
    """A query for the TXT record of who.weir (RFC 1035 part 4)."""
    return identity.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0" + b"\3who\4weir\0" + b"\0\x10\0\1"


def dns(namespace, address, port, count, threads=4, first_source_port=None):
    """`count` DNS questions, a socket each. With `first_source_port`, question i comes from that port + i.

    The tally's answers are by name; with source ports, `by_port` maps each to the name that answered.
    """
    by_port = {}
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def work(tally, indices):
        for index in indices:
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as client:
                    client.settimeout(TIMEOUT_S)
                    if first_source_port is not None:
                        client.bind(("", first_source_port + index))
                    client.connect((address, port))
                    client.send(dns_question(index & 0xffff))
                    answer = client.recv(4096)
                if answer[:2] != (index & 0xffff).to_bytes(2, "big"):
                    raise ValueError("answer to another question")
                name = _txt(answer)
                tally.answers[name] += 1
                if first_source_port is not None:
                    by_port[first_source_port + index] = name
            except (OSError, ValueError) as error:
                tally.failures[_reason(error)] += 1

    total = _in_threads(namespace, count, threads, work)
    total.by_port = by_port
    return total


def _txt(answer):
    """The text of the one TXT record at the end of the answer."""
    start = len(dns_question(0)) + 12  # question, then pointer, type, class, TTL and length
    return answer[start + 1 : start + 1 + answer[start]].decode()


def echoes(namespace, address, count):
    """ICMP echo requests; returns how many were answered, each within a second."""
    six = ":" in address
    family, protocol, request, reply = ((socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129) if six else
                                        (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0))
    answered = 0
    with namespace.entered(), socket.socket(family, socket.SOCK_RAW, protocol) as client:
        client.settimeout(0.2)
        client.connect((address, 0))  # from here on it receives what this address sends, and nothing else
        for sequence in range(count):
            message = struct.pack("!BBHHH", request, 0, 0, os.getpid() & 0xffff, sequence) + b"weir" * 14
            # For ICMPv6 the kernel computes the checksum (RFC 3542 part 3.1).
            client.send(message if six else message[:2] + _internet_checksum(message) + message[4:])
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    answer = client.recv(4096)[0 if six else 20 :]  # IPv4 comes with its header
                    if answer[0] == reply and answer[4:] == message[4:]:
                        answered += 1
                        break
    return answered


def _internet_checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return struct.pack("!H", ~(total + (total >> 16)) & 0xffff)


class KeepAlive:
    """Connections that stay open and ask for the backend's name now and then; each must always hear the same one."""

    def __init__(self, namespace, address, port, connections, pause_s=0.05):
        self._stop = threading.Event()
        self._pause_s = pause_s
        self.answered = 0
        self.failures = collections.Counter()
        self.moved = 0
        with namespace.entered():
            self._connections = [http.client.HTTPConnection(address, port, timeout=TIMEOUT_S)
                                 for _ in range(connections)]
            for connection in self._connections:
                connection.connect()
                connection.auto_open = 0  # a lost connection is a failure, not a reason to dial again
        self.names = [self._ask(connection) for connection in self._connections]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def sources(self):
        """Each connection's own end, as text with its port."""
        ends = (connection.sock.getsockname() for connection in self._connections)
        return [f"{host(end[0])}:{end[1]}" for end in ends]

    @staticmethod
    def _ask(connection):
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()

    def _run(self):
        while not self._stop.wait(self._pause_s):
            self._ask_all()

    def _ask_all(self):
        for index, connection in enumerate(self._connections):
            if connection is None:
                continue  # counted when it was lost
            try:
                name = self._ask(connection)
                self.answered += 1
                self.moved += name != self.names[index]
            except (OSError, http.client.HTTPException) as error:
                self.failures[_reason(error)] += 1
                self._connections[index] = None
                connection.close()


_WRK_REPORT = """
done = function(summary)
  local e = summary.errors
  io.stderr:write(string.format('{"requests": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}',
    summary.requests, e.connect, e.read, e.write, e.status, e.timeout))
end
"""


class Wrk:
    """wrk in the background; `result()` waits and returns its counts, with `failed` as their sum."""

    def __init__(self, site, address, port, seconds, connections=32):
        # The port is always written: without one wrk looks up "http" in /etc/services, which a bare machine has not.
        url = f"http://{host(address)}:{port}/"
        script = site.write("wrk.lua", _WRK_REPORT)
        argv = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", script, url]
        self._process = subprocess.Popen(site.namespace("client").exec_argv(*argv), stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        site.processes.append(self._process)

    def is_running(self):
        return self._process.poll() is None

    def result(self):
        said, counts = self._process.communicate()
        try:
            counted = json.loads(counts)
        except ValueError:
            return {"requests": 0, "failed": 1, "said": (said + counts).strip()}
        counted["failed"] = sum(counted[kind] for kind in ("connect", "read", "write", "status", "timeout"))
        return counted


def download(namespace, address, port, path, bytes_a_second=None):
    """SHA-256 and length of what an HTTP GET brings; with a rate, it takes its time."""
    digest, length = hashlib.sha256(), 0
    with namespace.entered(), contextlib.closing(http.client.HTTPConnection(address, port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        began = time.monotonic()
        while piece := answer.read(1 << 16):
            digest.update(piece)
            length += len(piece)
            if bytes_a_second:
                time.sleep(max(0, began + length / bytes_a_second - time.monotonic()))
    return digest.hexdigest(), length


def upload(namespace, address, port, file):
    """Sends a file to the upload sink; returns the SHA-256 that the sink computed."""
    with namespace.entered(), socket.create_connection((address, port), 60) as connection:
        connection.sendall(f"{os.path.getsize(file)}\n".encode())
        with open(file, "rb") as source:
            connection.sendfile(source)
        return connection.makefile().readline().strip()


def random_file(path, length):
    """Writes random bytes; returns their SHA-256."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        while length > 0:
            piece = os.urandom(min(length, 1 << 20))
            file.write(piece)
            digest.update(piece)
            length -= len(piece)
    return digest.hexdigest()

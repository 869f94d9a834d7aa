"""The relay between Weir's ports and the veth ends (tests/support/wire/wire.cc): it deals frames to queues at random."""

import contextlib
import json
import os
import subprocess
import time

from . import net


class Wire:
    """`with Wire(lab, binary) as relay:` relays until the block ends, for a Weir that runs on driver "memif". `binary` is
    Weir's: the relay is built beside it.
    """

    def __init__(self, lab, binary, queues=2, seed=1):
        self._site = lab
        program = os.path.join(os.path.dirname(binary), "../tests/support/wire/wire")
        ends = [f"{lab.path(f'memif{index}.sock')}:vw{index}" for index in (0, 1)]
        self._argv = [program, "--clients", ends[0], "--servers", ends[1], "--queues", str(queues), "--seed", str(seed)]

    def __enter__(self):
        self._process = self._site.spawn("weir", self._argv, "wire.log")
        deadline = time.monotonic() + 20
        while "ready" not in self._site.log("wire"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise net.LabError(f"the relay did not start:\n{self._site.log('wire')}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()

    def stop(self):
        """What it counted: for either way `in`, `out`, `late`, `flows`, `dropped`."""
        self._process.terminate()
        self._process.wait(10)
        return json.loads(self._site.log("wire").strip().split("\n")[-1])

"""Each way a start can fail ends in one clear sentence and its exit status (design part 5)."""

import os
import re
import shutil
import subprocess

from lab import daemon, site

REFUSED, USAGE, UNREACHABLE, ENVIRONMENT = 1, 2, 3, 4  # weir's exit statuses


def failures(report):
    with site.Site(1) as lab:
        yaml = lab.config(site.services(lab.members([(1, 1)])))
        devices = [site.device(site.usual_driver(), index) for index in (0, 1)]
        on_null = yaml.replace(devices[0], "net_null0").replace(devices[1], "net_null1")

        def refused(what, code, named, text, socket=None, before=(), binary=report.binary):
            """Starts weir in its namespace and checks how it ended."""
            text = text.replace(lab.path("weir.sock"), socket or lab.path("other.sock"))
            file = lab.write("other.yaml", text)
            try:
                done = subprocess.run(lab.namespace("weir").exec_argv(*before, binary, "run", "-c", file),
                                      capture_output=True, text=True, timeout=20)
            except subprocess.TimeoutExpired:
                report.check(what, False, why="it did not end within 20 s")
                return
            said = done.stdout + done.stderr
            sentence = next((line for line in said.split("\n") if re.search(named, line)), "")
            report.check(what, done.returncode == code and sentence, figure=sentence[:150],
                         why=f"exit {done.returncode}, not {code} with a word of {named!r}: {said.strip()[-600:]}")

        refused("no such network device", ENVIRONMENT, "nosuch", yaml.replace("iface=vw0", "iface=nosuch"))
        refused("no such driver", ENVIRONMENT, "no DPDK driver is called net_nosuch",
                on_null.replace("net_null0", "net_nosuch0"))
        refused("a bad file", REFUSED, r"other\.yaml:\d+:\d+: ", yaml.replace("workers: 1", "workers: many"))
        refused("a socket in a directory that is not there", ENVIRONMENT, "/nonexistent/weir.sock", on_null,
                socket="/nonexistent/weir.sock")
        _without_huge_pages(report, refused, on_null)
        _without_permission(report, refused, lab, yaml)

        with daemon.Weir(lab, report.binary, yaml):
            refused("the device is another instance's", ENVIRONMENT, "vw0|p0", yaml)
            refused("the socket is another instance's", ENVIRONMENT, re.escape(lab.path("weir.sock")), on_null,
                    socket=lab.path("weir.sock"))


def _without_huge_pages(report, refused, yaml):
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        some = any(line.startswith("HugePages_Free:") and int(line.split()[1]) for line in meminfo)
    if some:
        report.skip("huge_pages: always without any: this machine has some")
    else:
        refused("huge_pages: always on a machine without", ENVIRONMENT, "huge", yaml.replace("never", "always", 1))


def _without_permission(report, refused, lab, yaml):
    binary = lab.path("weir")
    shutil.copy(report.binary, binary)  # the build may lie where nobody else may look
    os.chmod(lab.directory, 0o777)
    # setpriv keeps what the program needs to start, and takes away root.
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    refused("no permission to open the device", ENVIRONMENT, "(?i)permi|not permitted|root|CAP_", yaml, before=nobody,
            binary=binary)
    os.chmod(lab.directory, 0o755)


def command_line(report):
    with site.Site(1) as lab:
        file = lab.write("weir.yaml", lab.config(site.services(lab.members([(1, 1)]))))
        nobody_there = ["--socket", lab.path("none.sock")]
        for what, code, arguments in (("check of a good file", 0, ["check", "-c", file]),
                                      ("check of a file that is not there", REFUSED, ["check", "-c", "/nonexistent.yaml"]),
                                      ("no command", USAGE, []),
                                      ("an unknown command", USAGE, ["frobnicate"]),
                                      ("run without a file's name behind -c", USAGE, ["run", "-c"]),
                                      ("show without a daemon", UNREACHABLE, ["show", "services", *nobody_there]),
                                      ("reload without a daemon", UNREACHABLE, ["reload", *nobody_there])):
            done = subprocess.run([report.binary, *arguments], capture_output=True, text=True, timeout=20)
            said = (done.stdout + done.stderr).strip()
            report.check(f"{what}: exit {code}", done.returncode == code and (code == 0 or said),
                         figure=said.split("\n")[0][:120], why=f"exit {done.returncode}: {said}")


SCENARIOS = [failures, command_line]

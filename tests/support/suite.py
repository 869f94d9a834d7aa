"""What scripts/test does after scripts/setup: build, unit tiers, scenarios, sanitizers; then one line with the count."""

import argparse
import collections
import contextlib
import fcntl
import glob
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree

import child

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
# What keeps this build short: -O1 and line tables alone; and neither UBSan's null checks, where ASan traps the access
# anyway, nor its vptr ones: without them Boost.Beast's users compile in half the time. -w: warnings are the plain
# build's to judge; g++ gives false ones where it instruments. Assertions are on.
SANITIZE = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Db_ndebug=false", "-Doptimization=1",
            "-Ddebug=false", "-Dcpp_args=-w -g1 -fno-omit-frame-pointer -fno-sanitize=null,vptr", "-Dbenchmarks=false"]
# As above. A race ends the program where it is found, and its report goes to a file: the program may be another one
# than the test, with its standard error in a directory that is gone by then.
THREADS = ["-Db_sanitize=thread", "-Db_lundef=false", "-Db_ndebug=false", "-Doptimization=1", "-Ddebug=false",
           "-Dcpp_args=-w -g1 -fno-omit-frame-pointer", "-Dbenchmarks=false"]
THREADS_REPORT = f"{ROOT}/build-tsan/race"
THREADS_ENVIRONMENT = {"TSAN_OPTIONS": f"halt_on_error=1:log_path={THREADS_REPORT}:"
                                       f"suppressions={ROOT}/tests/support/tsan.supp"}
SANITIZE_ENVIRONMENT = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
                        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


class Count:
    def __init__(self):
        self.passed = 0
        self.skipped = []
        self.failed = []

    def line(self):
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{self.passed} passed, {len(self.failed)} failed{skipped}"


def say(text):
    print(text, flush=True)


def main():
    arguments = parse_arguments()
    child.stop_on_signals()
    os.chdir(ROOT)
    functions = {"unit": unit, "scenario": scenario, "sanitize": sanitize, "threads": threads}
    tiers = [tier for tier in functions if getattr(arguments, tier)] or ["unit", "scenario", "sanitize"]
    count = Count()
    began = time.monotonic()
    for tier in tiers:
        functions[tier](count, arguments)
    for name in count.skipped:
        say(f"skipped: {name}")
    for name in count.failed:
        say(f"failed: {name}")
    say(f"took {time.monotonic() - began:.0f} s")
    say(count.line())
    return 1 if count.failed or not count.passed else 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/test", description="Builds Weir and runs its tests. Without a tier: unit, scenario and sanitize.")
    parser.add_argument("--unit", action="store_true", help="everything meson runs: unit, path and pcap tests")
    parser.add_argument("--scenario", action="store_true", help="real traffic between network namespaces (root or sudo)")
    parser.add_argument("--sanitize", action="store_true", help="the unit tier again under ASan and UBSan")
    parser.add_argument("--threads", action="store_true", help="the unit tier again under TSan; asked for by name only")
    parser.add_argument("--werror", action="store_true", help="a compiler warning is an error")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these scenarios, or these meson tests")
    return parser.parse_args()


def unit(count, arguments):
    meson_tests(count, "build", "unit", ["-Dwerror=true"] if arguments.werror else [], {}, arguments.names)


def sanitize(count, arguments):
    meson_tests(count, "build-asan", "sanitized", SANITIZE, SANITIZE_ENVIRONMENT, arguments.names)


def threads(count, arguments):
    for stale in glob.glob(f"{THREADS_REPORT}.*"):
        os.unlink(stale)
    meson_tests(count, "build-tsan", "threads", THREADS, THREADS_ENVIRONMENT, arguments.names, _fixed_addresses())
    for report in sorted(glob.glob(f"{THREADS_REPORT}.*")):
        with open(report, encoding="utf-8", errors="replace") as text:
            say(text.read())
        count.failed.append(f"threads: a race, {os.path.basename(report)}")


def _fixed_addresses():
    """g++ 12's TSan knows no address spaces as random as newer kernels make them; without the right to, try as it is."""
    wrapper = ["setarch", "-R"]
    return wrapper if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode == 0 else []


def meson_tests(count, directory, title, options, environment, names, wrapper=()):
    say(f"== {title}: building in {directory}/")
    if child.run(["scripts/build", "--in", directory, *(["--", *options] if options else [])]) != 0:
        count.failed.append(f"{title}: the build")
        return
    say(f"== {title}: running")
    with locked(directory):
        tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", directory]))
        for stale in glob.glob(f"{directory}/*.xml"):
            os.unlink(stale)
        log = f"{directory}/meson-logs/testlog.json"
        if os.path.exists(log):
            os.unlink(log)
        slower = ["--timeout-multiplier", "5"] if environment else []
        child.run([*wrapper, "meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs", *slower, *names],
                  env={**os.environ, **environment})
        count_meson(count, directory, title, tests, log)


@contextlib.contextmanager
def locked(directory):
    """One build or test run at a time in one build directory; scripts/build takes the same lock."""
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def count_meson(count, directory, title, tests, log):
    """Adds gtest cases one by one, any other test as one; a program that failed without a failed case is one too."""
    protocols = {test["name"]: test["protocol"] for test in tests}
    results = {}
    if os.path.exists(log):
        with open(log, encoding="utf-8") as lines:
            results = {entry["name"].split(" / ")[-1]: entry["result"] for entry in map(json.loads, lines)}
    if not results:
        count.failed.append(f"{title}: meson ran no test")
    for name, result in results.items():
        cases = f"{directory}/{name}.xml"
        failed = []
        if protocols.get(name) == "gtest" and os.path.exists(cases):
            passed, failed, skipped = count_gtest(cases)
            count.passed += passed
            count.failed += [f"{title}: {name}: {case}" for case in failed]
            count.skipped += [f"{title}: {name}: {case}" for case in skipped]
        elif result == "OK":
            count.passed += 1
        elif result == "SKIP":
            count.skipped.append(f"{title}: {name}")
        if result not in ("OK", "SKIP") and not failed:
            count.failed.append(f"{title}: {name} ({result.lower()})")


def count_gtest(file):
    passed, failed, skipped = 0, [], []
    for case in xml.etree.ElementTree.parse(file).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None:
            failed.append(name)
        elif case.find("skipped") is not None or case.get("result") == "skipped" or case.get("status") == "notrun":
            skipped.append(name)
        else:
            passed += 1
    return passed, failed, skipped


def scenario(count, arguments):
    say("== scenario: building in build/")
    if child.run(["scripts/build", "weir", "wire"]) != 0:
        count.failed.append("scenario: the build")
        return
    say("== scenario: running")
    kinds = collections.Counter()
    lines = {"FAIL": count.failed, "SKIP": count.skipped}

    def on_line(line):
        print(line, end="", flush=True)
        if found := re.match(r"(PASS|FAIL|SKIP) (.*)", line):
            kinds[found[1]] += 1
            if found[1] in lines:
                lines[found[1]].append(f"scenario: {found[2]}")

    sudo = [] if os.geteuid() == 0 else ["sudo", "--"]
    code = child.run([*sudo, sys.executable, "-ES", "tests/scenario/run.py", *arguments.names], on_line=on_line,
                     own_group=not sudo)
    count.passed += kinds["PASS"]
    if code != 0 and not kinds["FAIL"]:
        count.failed.append(f"scenario: the runner exited {code}")


if __name__ == "__main__":
    sys.exit(main())

"""Runs the scenarios: `run.py [NAME...]`; `run.py --list` names them. One line for every check, PASS or FAIL.

A scenario is a function of a Report. It builds its own lab (tests/support/lab), so it can be run alone and changes
nothing for the next one. The whole run happens in a private world (lab/net.py) and leaves nothing behind.
"""

import argparse
import os
import signal
import sys
import time
import traceback

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))

import announce
import bonding
import capture
import kernel
import life
import operate
import pair
import privileges
import reload
import show
import start
import trace
import traffic
import twin
import workers
from lab import net
from scenario import Report, Skipped

SCENARIOS = {f"{module.__name__}.{function.__name__}": function
             for module in (announce, pair, start, trace, traffic, show, reload, life, kernel, privileges, bonding, workers, twin,
                            capture, operate)
             for function in module.SCENARIOS}

LIMIT_S = 300  # for one scenario; the slowest takes a tenth of it


def too_long(*_):
    raise TimeoutError(f"it took more than {LIMIT_S} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--weir", default=os.path.join(ROOT, "build/control/weir"), help="the program to test")
    parser.add_argument("names", nargs="*", help="beginnings of names; none: all")
    arguments = parser.parse_args()
    chosen = [name for name in SCENARIOS if not arguments.names or name.startswith(tuple(arguments.names))]
    if arguments.list:
        print("\n".join(chosen))
        return 0
    if not chosen:
        net.fail(f"no scenario begins with {' or '.join(arguments.names)}")
        return 2
    try:
        net.enter_private()
    except net.LabError as error:
        net.fail(f"scenarios: {error}")
        return 4
    signal.signal(signal.SIGALRM, too_long)
    report = Report(arguments.weir)
    for name in chosen:
        run_one(report, name)
    return 1 if report.failed else 0


def run_one(report, name):
    net.say(f"-- {name}")
    report.begin(name)
    began = time.monotonic()
    signal.alarm(LIMIT_S)
    try:
        SCENARIOS[name](report)
    except Skipped as why:
        report.skip(str(why))
    except Exception as error:  # whatever it is, it is this scenario's failure and not the end of the run
        traceback.print_exc(file=sys.stdout)
        report.check("runs to its end", False, why=f"{type(error).__name__}: {error}")
    finally:
        signal.alarm(0)
    net.say(f"   {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Holds `weir schema` against an implementation of JSON Schema that is not ours: every example passes, and every file
of a list with one mistake each is refused by both the schema and `weir check`.

schema_check.py WEIR EXAMPLES_FOLDER
"""
import copy
import json
import pathlib
import subprocess
import sys

import jsonschema
import yaml

FILE = """
hash_key: "00112233445566778899aabbccddeeff"
workers: 1
ports: [{name: p0, device: net_null0}]
interfaces: [{name: lan, port: p0, addresses: [10.0.0.1/24]}]
neighbors: [{address: 10.0.0.5, mac: "02:00:00:00:00:05"}]
conntrack: {capacity: 1000, timeouts: {udp: 30s}}
services:
  - {name: web, protocol: udp, vips: [{address: 203.0.113.10, port: 5000-5999}], backends: [{address: 10.0.0.5}]}
"""

# Where, and what stands there instead; None: the key is taken away.
MISTAKES = [
    (["worker"], 1),
    (["workers"], 0),
    (["workers"], "many"),
    (["hash_key"], "0011"),
    (["ports", 0, "name"], None),
    (["ports", 0, "name"], "a b"),
    (["interfaces", 0, "vlan"], 4095),
    (["interfaces", 0, "name"], "longer-than-15-characters"),
    (["interfaces", 0, "addresses", 0], "10.0.0.1"),
    (["neighbors", 0, "mac"], "02:00"),
    (["conntrack", "timeouts", "udp"], 30),
    (["conntrack", "timeouts", "udp"], "30 s"),
    (["conntrack", "capacity"], "1000"),
    (["services", 0, "vips", 0, "port"], 0),
    (["services", 0, "vips", 0, "port"], "5000-"),
    (["services", 0, "protocol"], "icmp"),
    (["services", 0, "backends", 0, "weight"], 65536),
    (["services", 0, "backends"], None),
    (["services", 0, "on_down"], True),
]


def with_mistake(good, where, value):
    bad = copy.deepcopy(good)
    at = bad
    for key in where[:-1]:
        at = at[key]
    if value is None:
        del at[where[-1]]
    else:
        at[where[-1]] = value
    return bad


def weir_check(weir, document):
    return subprocess.run([weir, "check", "-c", "-"], input=yaml.safe_dump(document), text=True, capture_output=True)


def main(weir, examples):
    schema = json.loads(subprocess.run([weir, "schema"], check=True, capture_output=True, text=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = []
    files = sorted(pathlib.Path(examples).glob("*.yaml"))
    for file in files:
        for error in validator.iter_errors(yaml.safe_load(file.read_text())):
            wrong.append(f"{file.name}: {error.json_path}: {error.message}")
    good = yaml.safe_load(FILE)
    wrong += [f"the good file: {e.json_path}: {e.message}" for e in validator.iter_errors(good)]
    if (checked := weir_check(weir, good)).returncode != 0:
        wrong.append(f"weir check refuses the good file: {checked.stderr}")
    for where, value in MISTAKES:
        bad = with_mistake(good, where, value)
        if validator.is_valid(bad):
            wrong.append(f"the schema takes {where} = {value!r}")
        if weir_check(weir, bad).returncode != 1:
            wrong.append(f"weir check takes {where} = {value!r}")
    print("\n".join(wrong) or f"{len(files)} examples pass, {len(MISTAKES)} mistakes are seen")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

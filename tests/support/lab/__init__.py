"""The lab: network namespaces in which Weir, real clients and real servers meet.

    net.py        namespaces and veth pairs; a private world for the run, so that nothing outlives it
    site.py       the one topology: a client, Weir with two ports, backends behind a bridge; and its weir.yaml
    pair.py       two Weirs side by side, between a router and the backends
    bird.py       BIRD 2, and keepalived.py: who moves routes and addresses
    daemon.py     one `weir run`, its command line and its counters
    load.py       clients: counted requests, keep-alive connections, wrk, bulk transfers, DNS questions
    bird.py       BIRD 2 in a namespace
    segment.py    announcements on a link: heard, sent, asked for
    responder.py  what runs in a backend beside nginx: a DNS server that answers with its name, an upload sink

The demo (scripts/demo) and the scenarios (tests/scenario) stand on it. Python's standard library only.
"""

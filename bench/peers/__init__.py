"""lazyengine against its peers, each in an environment of its own: `python -m bench.peers mistral`.

Each program runs in the environment of its peer and asks `ours.py`, a process in the environment of lazyengine, for
one run at a time: both are measured in turns on the same machine and the same servers.
"""

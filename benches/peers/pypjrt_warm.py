"""How fast does pypjrt's CompileCache make an executable ready?

It gets the same StableHLO text and the same plugin as preheat.

usage: pypjrt_warm.py --plugin PLUGIN.so --program FILE --cache-dir DIR

The first run compiles and stores the program; later runs load it. The script prints one JSON line
with the seconds for the import, for loading the plugin, for the client, for reading the program and
calling `Client.compile` with the cache, and in all until the executable is ready. The line also
says whether the cache had the executable.
"""
import time

START = time.perf_counter()

import argparse
import json
import os
import sys

import pypjrt
from pypjrt.cache import CompileCache

IMPORTED = time.perf_counter()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache-dir", required=True)
    args = parser.parse_args()
    began = time.perf_counter()
    plugin = pypjrt.Plugin(args.plugin)
    plugin.initialize()
    plugin_at = time.perf_counter()
    client = pypjrt.Client.create(plugin)
    client_at = time.perf_counter()
    cache = CompileCache(args.cache_dir)
    with open(args.program, "rb") as file:
        program = file.read()
    executable = client.compile(program, cache=cache)
    ready = time.perf_counter()
    print(json.dumps({
        "import_seconds": IMPORTED - START,
        "plugin_seconds": plugin_at - began,
        "client_seconds": client_at - plugin_at,
        "load_seconds": ready - client_at,
        "ready_seconds": ready - START,
        "hit": cache.hits == 1,
    }))
    sys.stdout.flush()
    del executable
    os._exit(0)  # destroying the client is not part of a start


if __name__ == "__main__":
    main()

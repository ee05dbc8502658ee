"""How is torch imported without 4 GB of CUDA libraries? Stub libraries take their place.

    python3 standins.py SITE_PACKAGES

PyPI has one torch for Linux, which is linked against CUDA's libraries. On the CPU, torch does not
call them, but the loader needs each file, version and symbol. So this script builds a stub for each
missing library. A function of a stub ends the process if it is called.
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(library):
    return re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-dW", library))


def versions(library):
    """The symbol versions that a library needs, each with the file that defines it."""
    found, file = {}, None
    for line in output("readelf", "-VW", library).splitlines():
        named = re.search(r"File: (\S+)", line)
        if named:
            file = named.group(1)
        version = re.search(r"Name: (\S+)\s+Flags:", line)
        if version and file:
            found[version.group(1)] = file
    return found


def make(file, symbols, to):
    """Builds a stub library named `file`.

    `symbols` has the functions of each symbol version; `""` stands for functions without a version.
    """
    code, script = [], []
    for version, names in sorted(symbols.items()):
        functions = sorted(names)
        code += [f"void {name}(void) {{ __builtin_trap(); }}" for name in functions]
        if version:
            listed = "".join(f" {name};" for name in functions)
            script.append(f"{version} {{{f' global:{listed}' if listed else ''} }};")
    with tempfile.TemporaryDirectory() as folder:
        source, map_ = Path(folder) / "made.c", Path(folder) / "made.map"
        source.write_text("\n".join(code) + "\n")
        map_.write_text("\n".join(script) + "\n")
        command = ["cc", "-shared", "-fPIC", "-w", "-o", to / file, source]
        command += [f"-Wl,-soname,{file}"] + ([f"-Wl,--version-script,{map_}"] if script else [])
        subprocess.run(command, check=True)


def main():
    site = Path(sys.argv[1])
    folder = site / "torch" / "lib"
    libraries = sorted(folder.glob("*.so")) + sorted(site.glob("torch/_C*.so"))
    here = {path.name for path in [*folder.iterdir(), *site.glob("nvidia/**/*.so*")]}
    wanted = defaultdict(lambda: defaultdict(set))
    plain = set()
    for library in libraries:
        missing = {name for name in needed(library) if re.match(r"lib(cu|nccl|nv)", name)} - here
        for name in missing:
            wanted[name][""]
        owners = versions(library)
        for version, file in owners.items():
            if file in missing:
                wanted[file][version]
        lines = output("nm", "-D", "--undefined-only", "--with-symbol-versions", library)
        for line in lines.splitlines():
            name, _, version = line.split()[-1].partition("@")
            file = owners.get(version.lstrip("@"))
            if file in missing:
                wanted[file][version.lstrip("@")].add(name)
            elif not version and re.match(r"(cu|nccl|nv)\w+$", name):
                plain.add(name)
    if wanted:
        # The loader takes a symbol without a version from any library.
        wanted[min(wanted)][""] |= plain
    for file, symbols in wanted.items():
        make(file, symbols, folder)
    print(f"{len(wanted)} libraries stand in: {', '.join(sorted(wanted))}")


main()

"""Runs each file of manifest.json with a PJRT plugin, and compares the outputs with JAX's outputs.

    pip install pypjrt==0.1.1 numpy ml_dtypes
    python tests/programs/check.py PLUGIN.so

For each file, it prints the largest difference as a share of the tolerance, or the error.
"""
import ctypes
import json
import sys
from pathlib import Path

import numpy as np
import pypjrt
from pypjrt.client import Executable
from pypjrt.errors import PjrtError

import tensorfile

HERE = Path(__file__).parent
BUFFER_TYPES = {
    "bool": 1, "int8": 2, "int16": 3, "int32": 4, "int64": 5, "uint8": 6, "uint16": 7, "uint32": 8, "uint64": 9,
    "float16": 10, "float32": 11, "float64": 12, "bfloat16": 13, "complex64": 14, "complex128": 15,
}
DTYPES = {code: np.dtype(tensorfile.DTYPES[tensorfile.NAMES[name]] if name in tensorfile.NAMES else name)
          for name, code in BUFFER_TYPES.items()}


def compile_file(client, path):
    """Client.compile of pypjrt takes MLIR only; this also takes HLO protos."""
    plugin, code = client._plugin, path.read_bytes()
    kind = b"hlo" if path.suffix == ".pb" else b"mlir"
    options = pypjrt.CompileOptions().encode(plugin.abi)
    code_buffer, kind_buffer, options_buffer = (ctypes.create_string_buffer(x, len(x)) for x in (code, kind, options))
    pointer = lambda buffer: ctypes.cast(buffer, ctypes.c_void_p)
    program = plugin.args("PJRT_Program", code=pointer(code_buffer), code_size=len(code), format=pointer(kind_buffer), format_size=len(kind))
    call = plugin.args("PJRT_Client_Compile_Args", client=client.address, program=ctypes.addressof(program),
                       compile_options=pointer(options_buffer), compile_options_size=len(options))
    plugin.call("PJRT_Client_Compile", call)
    return Executable(plugin, call.executable, client)


def run(client, device, executable, inputs):
    arguments = []
    for array, dtype in inputs:
        data = array.tobytes() or bytes(1)
        shape = array.shape[:-1] if dtype.startswith("complex") else array.shape
        arguments.append(client.buffer_from_host(bytearray(data), BUFFER_TYPES[dtype], shape, device))
    outputs = []
    for buffer in executable(*arguments):
        dtype, count = DTYPES[buffer.element_type], int(np.prod(buffer.dimensions))
        host = buffer.to_host(bytearray(max(1, count * dtype.itemsize)))
        outputs.append(tensorfile.plain(np.frombuffer(host, dtype, count).reshape(buffer.dimensions)))
    return outputs, [i for i, argument in enumerate(arguments) if argument.is_deleted]


def worst(have, want, tolerance):
    """The largest difference as a share of the tolerance; a share above 1 is a failure."""
    if have.shape != want.shape or have.dtype != want.dtype:
        return float("inf")
    wide = np.float64 if want.dtype.kind not in "iub" else object
    have, want = have.astype(wide).ravel(), want.astype(wide).ravel()
    equal = (have == want) | (have != have) & (want != want)
    have, want = have[~equal].astype(np.float64), want[~equal].astype(np.float64)
    if not have.size:
        return 0.0
    allowed = tolerance["atol"] + tolerance["rtol"] * np.abs(want)
    return float(np.max(np.abs(have - want) / np.where(allowed > 0, allowed, 1e-300)))


def main():
    failed = 0
    with pypjrt.Client.create(sys.argv[1]) as client, client.devices() as devices:
        for entry in json.loads((HERE / "manifest.json").read_text()):
            read = lambda which: list(tensorfile.read(HERE / f"{entry['name']}.{which}.safetensors").values())
            inputs, want = read("inputs"), read("outputs")
            for file in entry["files"]:
                try:
                    executable = compile_file(client, HERE / file)
                    dtypes = [argument["dtype"] for argument in entry["inputs"]]
                    have, donated = run(client, devices[0], executable, list(zip(inputs, dtypes, strict=True)))
                    if donated != entry["donated"]:
                        raise ValueError(f"donated {donated}, not {entry['donated']}")
                    shares = [worst(h, w, entry["tolerance"]) for h, w in zip(have, want, strict=True)]
                    share = max(shares, default=0.0)
                    failed += share > 1
                    print(f"{'FAIL' if share > 1 else 'ok':4} {share:9.2g}  {file}")
                except Exception as error:
                    failed += 1
                    print(f"FAIL {file}: {str(error).splitlines()[0][:300]}")
        for path in sorted((HERE / "refused").iterdir()):
            try:
                compile_file(client, path)
                failed += 1
                print(f"FAIL {path.name} compiled")
            except PjrtError as error:
                print(f"ok   refused    {path.name}: {str(error).splitlines()[0][:200]}")
        pairs = [file for pair in json.loads((HERE / "pairs.json").read_text()) for file in pair["files"]]
        for file in pairs:
            compile_file(client, HERE / file)
    print(f"{failed} failed; {len(pairs)} files of pairs compile")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

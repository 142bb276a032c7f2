"""Builds the kernel image: build_kernel_image.py FOLDER LOCK. Does nothing where FOLDER already is that image."""

import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kernel_gateway.sandbox.images import MANIFEST, PACKAGES, image_digest, sources_digest, sources_folder


def main() -> None:
    folder, lock = Path(sys.argv[1]), Path(sys.argv[2])
    manifest = {
        "digest": image_digest(lock.read_bytes()),
        "python": platform.python_version(),
        "sources": sources_digest(),
    }
    try:
        present = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        present = {}
    if present == manifest:
        print(f"kernel image {manifest['digest'][:12]} is up to date")
        return
    packages = folder / PACKAGES
    locked = lock.read_bytes()
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_bytes() != locked or present.get("python") != manifest["python"]:
        print("kernel image: installing its packages (half a minute) ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check"]
        command += [
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--target",
            str(packages),
            "-r",
            str(lock),
        ]
        if subprocess.run(command, check=False).returncode != 0:  # pip has said why: twice quiet leaves its errors
            sys.exit("kernel image: its packages cannot be installed, so it was not built")
        stamp.write_bytes(locked)
    shutil.rmtree(packages / "kernel_ext", ignore_errors=True)
    shutil.copytree(sources_folder(), packages / "kernel_ext", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(packages / "kernel_ext")], check=True)
    _compile_pages(packages)
    _record_footprint(packages)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"kernel image {manifest['digest'][:12]} built in {folder}")


def _compile_pages(packages: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("tcc")
    if compiler is None:
        print(
            "kernel image: no C compiler, so its kernels give back no memory while they rest (see kernel_ext/pages.py)"
        )
        return
    command = [compiler, "-O2", "-shared", "-fPIC", "-nostdlib", "-o", str(packages / "kernel_ext.pages.so")]
    subprocess.run([*command, str(packages / "kernel_ext" / "pages.c")], check=True)


def _record_footprint(packages: Path) -> None:
    with tempfile.TemporaryDirectory() as home:  # IPython makes itself a folder at home
        command = [sys.executable, "-I", str(Path(__file__).with_name("record_footprint.py"))]
        command += [str(packages), str(packages / "kernel_ext.footprint")]
        subprocess.run(command, check=True, env={"HOME": home})


if __name__ == "__main__":
    main()

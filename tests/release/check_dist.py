"""Checks what `make wheel` built: the wheel's tag, size and files, and the sdist's files."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

MAXIMUM_WHEEL_BYTES = 15_000_000


def only(folder: Path, pattern: str) -> Path:
    """The one file that matches."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        message = f"expected one {pattern} in {folder}, found {[path.name for path in found]}"
        raise SystemExit(message)
    return found[0]


def wheel_faults(path: Path) -> list[str]:
    """What is wrong with the wheel."""
    faults = []
    if "-cp311-abi3-" not in path.name:
        faults.append(f"{path.name}: not tagged cp311-abi3")
    size = path.stat().st_size
    if size >= MAXIMUM_WHEEL_BYTES:
        faults.append(f"{path.name}: {size} bytes, allowed are {MAXIMUM_WHEEL_BYTES}")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    faults.extend(
        f"{path.name}: lacks {wanted}"
        for wanted in (
            "foliot/__init__.py",
            "foliot/py.typed",
            "foliot/_core.pyi",
            "foliot/_core.abi3.so",
            "licenses/LICENSE",
        )
        if not any(name.endswith(wanted) for name in names)
    )
    faults.extend(f"{path.name}: holds {name}" for name in names if not name.startswith(("foliot/", "foliot-")))
    return faults


def sdist_faults(path: Path) -> list[str]:
    """What is wrong with the sdist."""
    with tarfile.open(path) as archive:
        names = ["/".join(name.split("/")[1:]) for name in archive.getnames()]
    wanted = ("Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "pyproject.toml", "python/foliot/__init__.py")
    return [f"{path.name}: lacks {name}" for name in wanted if name not in names]


def main() -> None:
    """Checks the folder named on the command line."""
    folder = Path(sys.argv[1])
    wheel, sdist = only(folder, "foliot-*.whl"), only(folder, "foliot-*.tar.gz")
    faults = wheel_faults(wheel) + sdist_faults(sdist)
    if faults:
        raise SystemExit("\n".join(faults))
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB; {sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

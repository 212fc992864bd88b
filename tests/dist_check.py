"""Build wheel and sdist, and try each in an empty environment, as `make dist-check` does.

Needs `build` and `twine`, and a package index for what the package depends on. What was built stays
in `dist/`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, BUILT = SETTINGS["project"], SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]
EXTRAS = ",".join({"server", "cli"} & set(PROJECT["optional-dependencies"]))
TESTS = [  # of the sdist: what they look at must be in it
    "tests/test_ci.py",
    "tests/test_compose.py",
    "tests/test_exports.py",
    "tests/test_layers.py",
    "tests/test_readme.py",
    "tests/test_docs.py",
]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program and return what it prints; end with its output when it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        sys.exit(f"FAILED: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(fact: str, missing: set[str]) -> None:
    """Say that nothing is missing, or end with what is."""
    if missing:
        sys.exit(f"FAILED: {fact}: {', '.join(sorted(missing))}")
    print(f"    ok: {fact}")


def build() -> tuple[Path, Path]:
    """Return the wheel and the sdist, built anew: the sdist first, of it the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    return wheel, sdist


def sources() -> set[str]:
    """Return the names of all files that git knows, as far as it is there."""
    if not (ROOT / ".git").exists():
        return set()
    return set(run("git", "ls-files", "-z").strip("\0").split("\0"))


def check_contents(wheel: Path, sdist: Path) -> None:
    """Check which files are in them."""
    package = {
        path.relative_to(ROOT).as_posix()
        for name in BUILT["packages"]
        for path in [ROOT / name, *(ROOT / name).rglob("*")]
        if path.is_file() and path.suffix != ".pyc"
    }
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        (about,) = (name for name in inside if name.endswith(".dist-info/METADATA"))
        links = re.findall(r"\]\(((?!https?:)[^)\s]+)\)", archive.read(about).decode())
    check("the description has no link to a file", set(links))
    check("all files of the package are in the wheel", package - inside)
    others = {name for name in inside - package if ".dist-info/" not in name}
    check("nothing else is in the wheel", others)
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    check("all files of the repository are in the sdist", sources() - inside)


def install(archive: Path, home: Path) -> Path:
    """Return the Python of a new environment that has an archive with the extras of its tools."""
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{archive}[{EXTRAS}]", cwd=home)
    return python


def main() -> None:
    scripts = len(list((ROOT / "redisjson_dict" / "scripts").glob("*.lua")))
    print("build")
    wheel, sdist = build()
    print(f"    ok: {wheel.name}, {sdist.name}")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    print("    ok: twine check --strict")
    check_contents(wheel, sdist)

    with tempfile.TemporaryDirectory() as there:
        for archive in (wheel, sdist):
            print(archive.name)
            home = Path(there) / archive.suffix.strip(".")
            python = install(archive, home)
            smoke = shutil.copy(ROOT / "tests" / "dist_smoke.py", home / "smoke.py")
            print(run(python, "-I", smoke, PROJECT["version"], str(scripts), cwd=home), end="")

        print("tests of the sdist")
        with tarfile.open(sdist) as unpacked:
            unpacked.extractall(there, filter="data")
        root = Path(there) / sdist.name.removesuffix(".tar.gz")
        run(python, "-m", "pip", "install", "--quiet", f"{sdist}[test]", cwd=home)
        pytest = home / "bin" / "pytest"
        run(pytest, "--quiet", "--collect-only", cwd=root)
        print("    ok: all are found")
        run(pytest, "--quiet", *TESTS, cwd=root)
        print(f"    ok: {', '.join(TESTS)}")


if __name__ == "__main__":
    main()

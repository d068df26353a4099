"""Every form in which Proctor is used holds all of it: wheel, sdist, checkout, checkout without links."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
FOLDERS = ("proctor", "verifiers", "sandbox", "rl", "sft", "benchmarks")


def python(*arguments: str, cwd: Path, path: str = "") -> str:
    """Runs this interpreter elsewhere, with only `path` to import from; returns stdout."""
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources as a clone would hold them."""
    target = tmp_path_factory.mktemp("clone") / "proctor-src"
    ignore = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "demo-out", "runs")
    shutil.copytree(ROOT, target, symlinks=True, ignore=ignore)
    return target


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    script = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    return tree / "dist" / python("-c", script, cwd=tree).split()[-1]


def packages_on_disk() -> set[str]:
    found = set()
    for folder in FOLDERS:
        for marker in (ROOT / folder).rglob("__init__.py"):
            relative = marker.parent.relative_to(ROOT)
            linked = len(relative.parts) > 1 and (ROOT / "proctor" / relative.parts[1]).is_symlink()
            if folder != "proctor" or not linked:
                found.add(".".join(relative.parts if folder == "proctor" else ("proctor", *relative.parts)))
    return found


def test_package_list_names_every_folder() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]

    assert set(settings["packages"]) == packages_on_disk()
    assert set(settings["package-dir"]) == set(settings["packages"])


def test_wheel_holds_every_module(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in FOLDERS[1:]:
        for path in (ROOT / folder).rglob("*.py"):
            assert f"proctor/{path.relative_to(ROOT)}" in names
    assert "proctor/py.typed" in names


def test_wheel_works_when_unpacked(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = "import proctor; print(proctor.reward('1 + 1').score([proctor.Rollout('x')])[0].total)"
    assert python("-c", script, cwd=tmp_path, path=str(tmp_path / "site")).split() == ["2.0"]


def test_sdist_holds_tests_and_links(tree: Path) -> None:
    script = "from setuptools import build_meta; print(build_meta.build_sdist('dist'))"
    archive = tree / "dist" / python("-c", script, cwd=tree).split()[-1]
    shutil.unpack_archive(archive, tree / "unpacked")
    (unpacked,) = (tree / "unpacked").iterdir()

    assert (unpacked / "verifiers" / "core.py").is_file()
    assert (unpacked / "tests" / "test_packaging.py").is_file()
    assert python(
        "-c", "import proctor.sandbox.core as m; print(m.__name__)", cwd=unpacked, path=str(unpacked)
    )


def test_checkout_without_links_works(tree: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tree, bare, symlinks=True)
    for link in (bare / "proctor").iterdir():
        if link.is_symlink():
            link.unlink()
    assert python("-c", "import proctor.verifiers.core as m; print(m.__name__)", cwd=bare, path=str(bare))


def test_import_is_light() -> None:
    script = (
        "import time; start = time.perf_counter(); import proctor; spent = time.perf_counter() - start\n"
        "import sys; print(spent, *{'torch', 'transformers', 'sympy', 'numpy'} & set(sys.modules))"
    )
    spent, *heavy = python("-c", script, cwd=ROOT, path=str(ROOT)).split()

    assert heavy == []
    assert float(spent) < 0.15


def test_public_names_resolve() -> None:
    import proctor

    for name in proctor.__all__:
        assert getattr(proctor, name) is not None
    assert set(proctor.__all__) <= set(dir(proctor))

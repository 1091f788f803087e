"""Packages made for a test, in a folder that a pip.conf names: no index on any network is asked."""

import zipfile
from pathlib import Path


def wheel(folder: Path, name: str, version: str, needs: tuple[str, ...] = (), python: str = ">=3.9") -> None:
    """A package with one module, which knows its version."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    files = {
        f"{module}/__init__.py": f'__version__ = "{version}"\n',
        f"{module}/tests/__init__.py": "",
        f"{info}/METADATA": "\n".join(lines) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as made:
        for file, text in files.items():
            made.writestr(file, text)


def shop(folder: Path) -> Path:
    """A folder of packages and the pip.conf that leads there and nowhere else; the path of that file."""
    folder.mkdir()
    for version in ("1.26.4", "2.4.0"):
        wheel(folder, "numpy", version)
    for version in ("1.2.2", "1.9.0"):
        wheel(folder, "scikit-learn", version, ("numpy>=1.17",))
    wheel(folder, "trees", "1.0")
    wheel(folder, "trees", "1.2", ("numpy<2",))
    wheel(folder, "woods", "2.0", ("trees>=1.2",))
    wheel(folder, "newest", "1.0", python=">=3.99")
    conf = folder / "pip.conf"
    conf.write_text(f"[global]\nno-index = true\nfind-links = {folder}\n")
    return conf

"""The link folder on its own, as it lies in the Blender extension."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from uvmap_id import link

LINK = Path(link.__file__).parent

PROGRAM = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import extension.link as package
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"extension.link.{module.name}")
# What pyzmq's compiled parts make up as they load has no file.
loaded = {name.partition(".")[0] for name in set(sys.modules) - before if getattr(sys.modules[name], "__file__", None)}
print(*sorted(loaded - sys.stdlib_module_names - {"extension"}))
"""


def test_a_copy_of_the_link_needs_only_pyzmq(tmp_path: Path) -> None:
    (tmp_path / "extension").mkdir()
    (tmp_path / "extension" / "__init__.py").touch()
    shutil.copytree(LINK, tmp_path / "extension" / "link", ignore=shutil.ignore_patterns("__pycache__"))
    said = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    # cffi is what pyzmq itself loads on some interpreters.
    assert set(said.stdout.split()) - {"cffi", "_cffi_backend"} == {"zmq"}


def test_the_messages_and_the_connection_file_do_not_load_pyzmq() -> None:
    program = "import sys; from uvmap_id.link import connection, messages, photo; print('zmq' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"

"""Any of the extension's commands, for Blenders that are started with a file or a script of your own.

    blender -b --python examples/run_command.py -- generate --face F --prompt T --out FOLDER
    blender -b --python examples/run_command.py -- render --face F --prompt T --out O.png
    blender -b --python examples/run_command.py -- cast examples/cast.csv --out FOLDER
    blender -b --python examples/run_command.py -- doctor

The UVMap-ID extension must be installed. The exit code is 0, 2 for bad arguments, and 1 for anything else; of `cast`
it is how many characters are not there. So it is whether or not Blender is told `--python-exit-code`.
"""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# The stubs of bpy don't know what the extension adds to it, and call much optional that is there.

from __future__ import annotations

import importlib
import os
import sys

import bpy

# isort: split
# Blender's own modules can be found once bpy was imported.
import addon_utils

NO_EXTENSION = "error: The UVMap-ID extension is not installed. Install its zip: Preferences > Get Extensions.\n"


def main() -> int:
    """Run the extension's own command with what follows the "--". Returns the exit code."""
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    package = find_extension()
    if package is None:
        sys.stderr.write(NO_EXTENSION)
        return 1
    cli = importlib.import_module(f"{package}.cli")
    return cli.main(arguments)


def find_extension() -> str | None:
    """The enabled extension's Python package; its middle part is the repository that it was installed into."""
    for module in addon_utils.modules() or ():
        name = module.__name__
        if name.startswith("bl_ext.") and name.endswith(".uvmap_id"):
            if name not in bpy.context.preferences.addons:
                addon_utils.enable(name)
            return name
    return None


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # sys.exit would be a Python error to Blender, which then ends with 0.
    os._exit(code)

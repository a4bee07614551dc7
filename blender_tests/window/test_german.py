"""A real Blender in German: the bpy wheels that other tests use are built without translation."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from debian import Debian

HERE = Path(__file__).parent
_END_S = 60.0
Installer = Callable[[Debian, Path, dict[str, str]], None]


def test_blender_says_it_in_german(debian: Debian, folder: Path, installer: Installer) -> None:
    debian.share(folder)
    environment = {"BLENDER_USER_RESOURCES": str(folder / "profile"), "UVMAP_ID_STATE_DIR": str(folder / "state")}
    shutil.copy(HERE / "german.py", folder)
    shutil.copy(os.environ["UVMAP_ID_ADDON_ZIP"], folder / "extension.zip")
    installer(debian, folder, environment)
    command = ["blender", "--background", "--python-exit-code", "1", "--python", str(folder / "german.py")]
    with (folder / "german.log").open("wb") as log:
        code = debian.start([*command, "--", str(folder / "seen.json")], log, environment).wait(_END_S)
    assert code == 0, (folder / "german.log").read_text(encoding="utf-8")
    seen = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
    german = seen["German"]
    assert german["locale"] == "de_DE"
    assert german["panel"] == "Gesicht"
    assert german["button"] == "Textur erzeugen"
    assert german["tooltip"].startswith("Aus dem Gesichtsbild und dem Prompt")
    assert german["property"] == "Startwert"
    assert german["label"] == "Form von SMPL"
    assert german["sentence"] == "Der Körper „Ann“ hat keine UVs."
    assert german["known code"] == "Der Speicher reicht nicht. (CUDA has 3 MB.) Close others."
    assert "body_missing: Es ist kein Körper gewählt." in german["refusal"]
    assert "Es gibt kein weiteres Foto." in german["why not"]
    assert seen["again"] == german
    assert seen["gone"]["panel"] == "Further Photos"
    english = seen["English"]
    assert (english["panel"], english["button"]) == ("Face", "Generate Texture")
    assert english["known code"] == "CUDA has 3 MB. Close others."
    assert "There is no further photo." in english["why not"]

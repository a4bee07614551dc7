"""Runs inside Blender, in background: switches it to German and writes down what it says then. The last argument is
the file.
"""

# pyright: reportAttributeAccessIssue=false
# The stubs of bpy don't know what the extension adds to it.

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import addon_utils
import bpy

PACKAGE = "bl_ext.user_default.uvmap_id"


def _refusal() -> str:
    try:
        bpy.ops.uvmap_id.generate()
    except RuntimeError as error:
        return str(error)
    return ""


def _why_not() -> str:
    try:
        bpy.ops.uvmap_id.remove_face()
    except RuntimeError as error:
        return str(error)
    return ""


def _seen() -> dict[str, str]:
    translations = importlib.import_module(f"{PACKAGE}.translations")
    errors = importlib.import_module(f"{PACKAGE}.link.errors")
    text, tip = bpy.app.translations.pgettext_iface, bpy.app.translations.pgettext_tip
    face = bpy.types.UVMAP_ID_PT_face
    button = bpy.ops.uvmap_id.generate.get_rna_type()
    seed = bpy.types.Scene.bl_rna.properties["uvmap_id"].fixed_type.properties["seed"]
    return {
        "locale": bpy.app.translations.locale,
        "panel": text(face.bl_label, face.bl_translation_context),
        "button": text(button.name, button.translation_context),
        "tooltip": tip(button.description),
        "property": text(seed.name, seed.translation_context),
        "label": translations.said("Shape of {family}", family="SMPL"),
        "sentence": translations.translated('The body "Ann" has no UVs.'),
        "known code": translations.failure_said(errors.Failure("out_of_memory", "CUDA has 3 MB.", "Close others.")),
        "refusal": _refusal(),
        "why not": _why_not(),
    }


def main() -> None:
    """See it in German, in English, in German after the extension came and went 50 times, and without it."""
    view = bpy.context.preferences.view
    view.language, view.use_translate_interface, view.use_translate_tooltips = "de_DE", True, True
    found = {"German": _seen()}
    view.language = "en_US"
    found["English"] = _seen()
    view.language = "de_DE"
    for _ in range(50):
        addon_utils.disable(PACKAGE)
        addon_utils.enable(PACKAGE)
    found["again"] = _seen()
    addon_utils.disable(PACKAGE)
    found["gone"] = {"panel": bpy.app.translations.pgettext_iface("Further Photos")}
    Path(sys.argv[-1]).write_text(json.dumps(found), encoding="utf-8")


main()

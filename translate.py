"""What a language of the extension still lacks, as JSON to fill in.

Run it with a Python that has the bpy wheel, which is asked for the names and tooltips of everything registered:

    python translate.py                          what German lacks
    python translate.py --language fr_FR         what French lacks; all of it where there is no file yet
    python translate.py --zip dist/NAME.zip      asks a built extension instead of building one

Put the filled-in entries into addon/assets/languages/LOCALE.json. The exit code is 1 while something is missing or left
over.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
ADDON, LINK = ROOT / "addon", ROOT / "backend" / "uvmap_id" / "link"
LANGUAGES, PROMPTS = ADDON / "assets" / "languages", ADDON / "assets" / "prompts.toml"
PACKAGE = "bl_ext.user_default.uvmap_id"
# Only people at a terminal read these.
_TERMINAL = ("cli*.py", "setup/installer/terminal.py", "setup/diagnose.py")
# What the rest of the link says is of messages and keys, and comes with the code's sentence.
_ARTISTS = ("request", "region", "launcher", "photo", "disk")
_FAILURES = ("UVMapError", "Failure", "RefusedError", "Fix")
_PLACES = ("stage", "notice", "sentence", "reason", "what", "hint", "text")
_LETTERS = re.compile(r"[^\W\d_]{2}")
_PIXELS = re.compile(r"\d+ px")
# Text with gaps needs as many letters beside them.
_FEWEST = 4
_GAP = re.compile(r"\{\w*\}")
Language = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is wrong with a language.

    Attributes:
        missing: Context -> English, which it has no words for.
        left_over: Entries that nothing uses any more.
        gaps: Entries whose gaps are others than the English ones.
    """

    missing: dict[str, list[str]]
    left_over: dict[str, list[str]]
    gaps: list[str]

    def __bool__(self) -> bool:
        return any(self.missing.values()) or any(self.left_over.values()) or bool(self.gaps)

    def __str__(self) -> str:
        parts = []
        if any(self.missing.values()):
            empty = {context: dict.fromkeys(texts, "") for context, texts in self.missing.items() if texts}
            parts.append(f"Add, with the words filled in:\n{json.dumps(empty, indent=2, ensure_ascii=False)}")
        if any(self.left_over.values()):
            parts.append(f"Take out:\n{json.dumps(self.left_over, indent=2, ensure_ascii=False)}")
        if self.gaps:
            parts.append("Give the same gaps as in English:\n" + "\n".join(self.gaps))
        return "\n".join(parts)


def difference(language: Language, texts: Iterable[str], codes: Iterable[str]) -> Difference:
    """What a language has too little or too much.

    Args:
        language: Context -> English -> words.
        texts: All English texts of the extension.
        codes: All error codes.
    """
    wanted = {"*": set(texts), "error": set(codes)}
    missing = {name: sorted(each - {key for key, said in language.get(name, {}).items() if said.strip()})
               for name, each in wanted.items()}  # fmt: skip
    # A button's own words are for a text that is there.
    allowed = {**wanted, "Operator": wanted["*"]}
    left_over = {name: sorted(set(language[name]) - allowed.get(name, set())) for name in language}
    gaps = [text for name in ("*", "Operator") for text, words in language.get(name, {}).items()
            if sorted(set(_GAP.findall(text))) != sorted(set(_GAP.findall(words)))]  # fmt: skip
    return Difference(missing, {name: each for name, each in left_over.items() if each}, gaps)


def read(locale: str) -> Language:
    """A language's file; empty where there is none."""
    path = LANGUAGES / f"{locale}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def error_codes() -> list[str]:
    """The values of `ErrorCode`."""
    tree = ast.parse((LINK / "errors.py").read_text(encoding="utf-8"))
    codes = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ErrorCode")
    return [text for node in codes.body if isinstance(node, ast.Assign) for text in _texts_in(node.value)]


def texts_in_source() -> set[str]:
    """What the code hands to panels, reports and errors; what is put together, as a template with gaps {0}, {1}."""
    skipped = {path for pattern in _TERMINAL for path in ADDON.glob(pattern)} | set((ADDON / "link").glob("*"))
    files = [path for path in sorted(ADDON.rglob("*.py")) if path not in skipped]
    files += [LINK / f"{name}.py" for name in _ARTISTS]
    found: set[str] = set()
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {text for node in ast.walk(tree) for text in _texts_of(node)}
    return {text for text in found if _is_for_people(text)}


def texts_of_classes(package: str = PACKAGE) -> set[str]:
    """What Blender knows of the registered classes: names, tooltips, properties, choices."""
    import bpy

    found: set[str] = set()
    bases = (bpy.types.Operator, bpy.types.Panel, bpy.types.Menu, bpy.types.UIList, bpy.types.FileHandler,
             bpy.types.PropertyGroup, bpy.types.AddonPreferences)  # fmt: skip
    for base in bases:
        for cls in _below(base):
            # Bases of several have no name.
            if cls.__module__.startswith(package) and (base is bpy.types.PropertyGroup or "bl_idname" in vars(cls)):
                found |= set(_texts_of_class(cls))
    # Engines know English: prompts stay as they are.
    kept = {preset["prompt"] for preset in tomllib.loads(PROMPTS.read_text(encoding="utf-8"))["preset"]}
    return {text for text in found - kept if _LETTERS.search(text) and not _PIXELS.fullmatch(text)}


def install(extension: Path | None) -> None:
    """Install the extension in a clean profile; must be called before bpy is imported."""
    folder = tempfile.mkdtemp(prefix="uvmap_id-translate-")
    os.environ["BLENDER_USER_RESOURCES"] = str(Path(folder, "profile"))
    if extension is None:
        command = [sys.executable, str(ROOT / "build_addon.py"), "--platform", "current", "--out", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        extension = next(Path(folder).glob("*.zip"))
    import bpy

    bpy.ops.extensions.package_install_files(filepath=str(extension), repo="user_default", enable_on_install=True)


def _texts_of_class(cls: Any) -> Iterator[str]:
    import bpy

    if issubclass(cls, bpy.types.Operator):
        module, _, name = cls.bl_idname.partition(".")
        rna = getattr(getattr(bpy.ops, module), name).get_rna_type()
        yield from (rna.name, rna.description)
    else:
        rna = cls.bl_rna
        yield getattr(cls, "bl_label", "")
        if issubclass(cls, bpy.types.Panel | bpy.types.Menu):
            yield inspect.cleandoc(cls.__doc__ or "")
    for item in rna.properties:
        # Blender's own have no place in a language of ours, and what is hidden is never drawn.
        if item.is_hidden or item.identifier in _blenders_own(cls):
            continue
        yield from (item.name, item.description)
        for choice in getattr(item, "enum_items", ()):
            yield from (choice.name, choice.description)


def _blenders_own(cls: type) -> set[str]:
    base: Any = next(parent for parent in cls.__mro__ if not parent.__module__.startswith(PACKAGE))
    return {"rna_type", "name", *base.bl_rna.properties.keys()}


def _below(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _below(child)


def _texts_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        yield from _sentences(node.exc.args)
    elif isinstance(node, ast.Call):
        yield from _texts_of_call(node)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from _texts_of_assignment(targets, node.value)
    elif isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Name) and node.returns.id == "str":
        yield from _sentences(part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value)


def _texts_of_call(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "said" and node.args:
        # Its gaps have names already.
        yield from (text for part in ast.walk(node.args[0]) for text in _texts_in(part))
    elif name in _FAILURES or name in ("poll_message_set", "report"):
        yield from _sentences(node.args)
    for keyword in node.keywords:
        if keyword.arg == "text":
            yield from _templates(keyword.value)


def _texts_of_assignment(targets: Sequence[ast.expr], value: ast.expr) -> Iterator[str]:
    for target in targets:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for each, part in zip(target.elts, value.elts, strict=False):
                yield from _texts_of_assignment([each], part)
        elif (target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")) in _PLACES:
            yield from _sentences([value])
        elif getattr(target, "id", "") == "_SENTENCES" and isinstance(value, ast.Dict):
            yield from (re.sub(r"\{\}", "{0}", text) for text in _sentences(value.values))


def _sentences(nodes: Iterable[ast.expr]) -> Iterator[str]:
    """Those of several words: one word is an identifier."""
    yield from (text for node in nodes for text in _templates(node) if " " in text)


def _templates(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from (*_templates(node.body), *_templates(node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from (text for value in node.values for text in _templates(value))
    elif isinstance(node, ast.JoinedStr):
        gaps = (f"{{{number}}}" for number in range(len(node.values)))
        yield "".join("".join(_texts_in(part)) or next(gaps) for part in node.values)
    else:
        yield from _texts_in(node)


def _texts_in(node: ast.AST) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _is_for_people(text: str) -> bool:
    """False for what is little more than gaps, and for patterns of other kinds."""
    letters = sum(letter.isalpha() for letter in _GAP.sub("", text))
    return letters >= (_FEWEST if _GAP.search(text) else 2) and "\n" not in text


def main() -> int:
    """Print what is missing. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", default="de_DE", metavar="LOCALE", help="Blender's name of it; default: de_DE")
    parser.add_argument("--zip", type=Path, metavar="FILE", help="the built extension; built when not given")
    options = parser.parse_args()
    install(options.zip.resolve() if options.zip else None)
    found = difference(read(options.language), texts_in_source() | texts_of_classes(), error_codes())
    sys.stdout.write(f"{found}\n" if found else f"{options.language} is complete.\n")
    sys.stdout.flush()
    # Some bpy wheels hang or crash on the way out of the interpreter.
    os._exit(1 if found else 0)


if __name__ == "__main__":
    sys.exit(main())

"""What the user sets for a character, and what the panel and scripts may read of its job."""

# pyright: reportInvalidTypeForm=false
# Blender reads its properties from annotations that are calls.
# pyright: reportIndexIssue=false
# The stubs don't know that an image's size can be looked into.

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import bpy

from . import body, current
from .link.region import REGION_PARTS
from .link.request import (
    DEFAULT_RELIGHT,
    ENGINES,
    EXTRA_MAPS,
    NORMAL_CONVENTIONS,
    SEED_LIMIT,
    SETTINGS,
    SIZES,
    DiffusionSettings,
    Setting,
)
from .session import Job

Value = TypeVar("Value")

VARIATIONS_LIMIT = 16

_NAME = "uvmap_id"

_ENGINE_NAMES = {
    "auto": ("Automatic", "The best engine that can run here"),
    "projection": ("Projection", "Projects the photo; needs no weights, takes seconds"),
    "uvmap-id": ("UVMap-ID", "The diffusion model; needs weights"),
}
_MAP_NAMES = {
    "orm": ("ORM", "Occlusion, roughness and metallic in one map, as glTF packs them"),
    "subsurface": ("Subsurface", "Where light enters the skin; the material uses it"),
}
_CONVENTION_NAMES = {
    "opengl": ("OpenGL", "Green is up, as in Blender"),
    "directx": ("DirectX", "Green is down; Blender's material turns it over"),
}


def _reader(read: Callable[[Job], Value], otherwise: Value) -> Callable[[Any], Value]:
    """A property's getter that reads the newest job of the scene whose settings are asked."""

    def get(settings: Any) -> Value:
        job = newest_job(settings.id_data)
        return otherwise if job is None else read(job)

    return get


def _recognise(settings: "CharacterSettings", _context: bpy.types.Context) -> None:
    settings.body_layout = body.layout(settings.body).value if settings.body is not None else ""


def _look_at_face(settings: "CharacterSettings", _context: bpy.types.Context) -> None:
    current.faces().ask(settings.face_image)


def _is_mesh(_settings: "CharacterSettings", target: bpy.types.Object) -> bool:
    return target.type == "MESH"


def _can_be_mask(_settings: "CharacterSettings", image: bpy.types.Image) -> bool:
    return image.source in ("GENERATED", "FILE") and image.size[0] == image.size[1]


def _property(name: str, setting: Setting) -> Any:
    """Blender's property for one of the diffusion engine's settings."""
    default = getattr(DiffusionSettings(), name)
    shown = {"name": setting.title, "description": setting.description, "default": default}
    if setting.choices:
        items = [(choice, choice.capitalize(), setting.description) for choice in setting.choices]
        return bpy.props.EnumProperty(items=items, **shown)
    if isinstance(default, int):
        return bpy.props.IntProperty(min=int(setting.lowest), max=int(setting.highest), **shown)
    if isinstance(default, float):
        subtype = "FACTOR" if setting.highest == 1 else "NONE"
        return bpy.props.FloatProperty(min=setting.lowest, max=setting.highest, subtype=subtype, **shown)
    return bpy.props.StringProperty(**shown)


class DiffusionProperties(bpy.types.PropertyGroup):
    """What the engine "uvmap-id" is told: `scene.uvmap_id.diffusion`. Its properties are those of `SETTINGS`."""

    __annotations__ = {name: _property(name, setting) for name, setting in SETTINGS.items()}


class FaceFile(bpy.types.PropertyGroup):
    """One further file that shows who the character is."""

    path: bpy.props.StringProperty(
        name="File",
        description="Another photo of the same person, or a .npy file with an embedding",
        subtype="FILE_PATH",
    )


class CastSettings(bpy.types.PropertyGroup):
    """A cast, many characters from one list: `scene.uvmap_id.cast`."""

    source: bpy.props.StringProperty(
        name="List",
        description="A CSV or JSON file with a row for each character, or a folder of photos of faces",
        subtype="FILE_PATH",
    )
    out: bpy.props.StringProperty(
        name="Folder",
        description="Where texture sets and the report go; empty is beside the .blend",
        subtype="DIR_PATH",
    )
    seed: bpy.props.IntProperty(
        name="Base Seed",
        description="What the seeds of rows come from that name none; the same base gives the same cast",
        min=0,
        max=SEED_LIMIT - 1,
    )
    sliders: bpy.props.BoolProperty(
        name="Keep Sliders",
        description="Keep the shape's sliders and expressions in each body, which takes 13 MB of memory for each",
    )


class HistoryEntry(bpy.types.PropertyGroup):
    """One texture set that was made; its `name` is what a list calls it."""

    job: bpy.props.StringProperty(
        name="Job", description="The name of its folder, which begins as that of the job that made it"
    )
    folder: bpy.props.StringProperty(name="Folder", description="Where its maps lie")
    thumbnail: bpy.props.StringProperty(name="Thumbnail", description="A small picture of it")
    settings: bpy.props.StringProperty(name="Settings", description="What it was made from, as JSON")
    made: bpy.props.StringProperty(name="Made", description="When it was made")


class CharacterSettings(bpy.types.PropertyGroup):
    """One character of a scene: `scene.uvmap_id`."""

    body: bpy.props.PointerProperty(
        name="Body",
        description="The mesh that gets the texture; it must have UVs in SMPL's layout",
        type=bpy.types.Object,
        poll=_is_mesh,
        update=_recognise,
    )
    body_layout: bpy.props.StringProperty(
        name="Layout",
        description="The UV layout that the body was recognised by when it was chosen or a texture was asked for",
    )
    assign_anyway: bpy.props.BoolProperty(
        name="Assign Anyway",
        description="Put textures also on a body whose UV layout is not recognised, because its UVs are SMPL's",
    )
    face_image: bpy.props.StringProperty(
        name="Face Image",
        description="A photo of the face. Use photos of people who agreed",
        subtype="FILE_PATH",
        update=_look_at_face,
    )
    prompt: bpy.props.StringProperty(
        name="Prompt",
        description='What the person wears, for example "wearing white shirt, blue jeans"',
    )
    subject: bpy.props.StringProperty(
        name="Subject",
        description='The person in words, for example "asian woman". May be empty',
    )
    seed: bpy.props.IntProperty(
        name="Seed", description="The same seed gives the same texture", min=0, max=SEED_LIMIT - 1
    )
    seed_lock: bpy.props.BoolProperty(
        name="Lock Seed",
        description="Keep the seed; otherwise each texture gets a new one at random",
        default=True,
    )
    variations: bpy.props.IntProperty(
        name="Variations",
        description="So many textures at once, each with a seed of its own; from a locked seed on, one by one",
        default=1,
        min=1,
        max=VARIATIONS_LIMIT,
    )
    relight: bpy.props.FloatProperty(
        name="Relight",
        description="How much of the photo's light is taken out of the face",
        subtype="FACTOR",
        min=0.0,
        max=1.0,
        default=DEFAULT_RELIGHT,
    )
    size: bpy.props.EnumProperty(
        name="Size",
        description="Side of the square maps in pixels",
        items=[(str(size), f"{size} px", f"Maps of {size} x {size} pixels") for size in SIZES],
        default="1024",
    )
    engine: bpy.props.EnumProperty(
        name="Engine",
        description="What makes the texture",
        items=[(engine, *_ENGINE_NAMES[engine]) for engine in ENGINES],
        default="auto",
    )
    extra_maps: bpy.props.EnumProperty(
        name="Extra Maps",
        description="Maps beyond base colour, normal and roughness",
        items=[(name, *_MAP_NAMES[name]) for name in EXTRA_MAPS],
        options={"ENUM_FLAG"},
    )
    normal_convention: bpy.props.EnumProperty(
        name="Normals",
        description="How the normal map is stored, for programs that want DirectX's",
        items=[(name, *_CONVENTION_NAMES[name]) for name in NORMAL_CONVENTIONS],
        default="opengl",
    )
    more_faces: bpy.props.CollectionProperty(
        name="Further Photos",
        description="More files of the same person, for the engine UVMap-ID",
        type=FaceFile,
    )
    diffusion: bpy.props.PointerProperty(
        name="Diffusion", description="For the engine UVMap-ID", type=DiffusionProperties
    )
    region_parts: bpy.props.EnumProperty(
        name="Parts",
        description="The parts of the body whose texture is made anew",
        items=[(name, name.replace("_", " ").title(), "Make this part anew") for name in REGION_PARTS],
        options={"ENUM_FLAG"},
    )
    region_mask: bpy.props.PointerProperty(
        name="Mask",
        description="A square picture in the atlas: white is made anew, black stays",
        type=bpy.types.Image,
        poll=_can_be_mask,
    )
    cast: bpy.props.PointerProperty(name="Cast", description="Many characters from one list", type=CastSettings)
    history: bpy.props.CollectionProperty(
        name="History", description="The textures that were made in this scene", type=HistoryEntry
    )
    history_index: bpy.props.IntProperty(name="Selected", description="The selected texture of the history")
    compared: bpy.props.StringProperty(
        name="Compared", description="The folder of the texture that Compare shows next", options={"HIDDEN"}
    )
    state: bpy.props.StringProperty(
        name="State",
        description="Where the newest job is: starting, queued, running, done, failed, cancelled, or empty",
        get=_reader(lambda job: job.state.value, ""),
    )
    progress: bpy.props.FloatProperty(
        name="Progress",
        description="How far the newest job is",
        subtype="FACTOR",
        min=0.0,
        max=1.0,
        get=_reader(lambda job: job.fraction, 0.0),
    )
    error: bpy.props.StringProperty(
        name="Error",
        description="Why the newest job failed: its code, what happened, what to do",
        get=_reader(lambda job: str(job.failure or ""), ""),
    )
    result: bpy.props.StringProperty(
        name="Result",
        description="The folder with the newest job's maps",
        get=_reader(lambda job: str(job.folder or ""), ""),
    )


_CLASSES = (DiffusionProperties, FaceFile, CastSettings, HistoryEntry, CharacterSettings)


def settings_of(scene: bpy.types.Scene) -> CharacterSettings:
    """What the user set for a scene's character: `scene.uvmap_id`, which only Blender knows to be there."""
    return getattr(scene, _NAME)


def diffusion_of(settings: CharacterSettings) -> DiffusionSettings:
    """The diffusion engine's settings, as a request holds them."""
    chosen = {item.name: getattr(settings.diffusion, item.name) for item in dataclasses.fields(DiffusionSettings)}
    return DiffusionSettings(**{name: rounded(value) for name, value in chosen.items()})


def rounded(value: Value) -> Value:
    """Blender keeps 32 bits of a number; a request is to say what the user sees."""
    return round(value, 4) if isinstance(value, float) else value  # pyright: ignore[reportReturnType]


def newest_job(scene: bpy.types.Scene) -> Job | None:
    """The job that a scene submitted last."""
    return current.session().newest(scene.session_uid)


def register() -> None:
    """Give every scene its settings."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    setattr(bpy.types.Scene, _NAME, bpy.props.PointerProperty(type=CharacterSettings))


def unregister() -> None:
    """Take the settings back."""
    delattr(bpy.types.Scene, _NAME)
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)

"""How strongly a material shows its texture set: `material.uvmap_id_look`. At its defaults it is the plain set."""

# pyright: reportInvalidTypeForm=false, reportArgumentType=false
# Blender reads its properties from annotations that are calls.

import bpy

from . import material
from .errors import attempt

_NAME = material.LOOK


def _apply(look: "MaterialLook", _context: bpy.types.Context) -> None:
    attempt(lambda: material.apply_look(look.id_data))


class MaterialLook(bpy.types.PropertyGroup):
    """What the user may change of a texture set without making another one."""

    roughness: bpy.props.FloatProperty(
        name="Roughness",
        description="How rough the surface is, as a multiple of the map; 1 is as it was made",
        default=1.0,
        min=0.0,
        max=4.0,
        soft_max=2.0,
        update=_apply,
    )
    normal_strength: bpy.props.FloatProperty(
        name="Normal Strength",
        description="How strongly wrinkles and folds show; 1 is as it was made",
        default=1.0,
        min=0.0,
        max=10.0,
        soft_max=2.0,
        update=_apply,
    )
    subsurface: bpy.props.FloatProperty(
        name="Subsurface",
        description="How much light gets into the skin, as a multiple of the map; needs a set with a subsurface map",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_apply,
    )
    mix: bpy.props.FloatProperty(
        name="Mix with Previous",
        description="How much of the texture is shown that the body wore before: 0 none, 1 nothing else",
        default=0.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_apply,
    )
    previous: bpy.props.StringProperty(
        name="Previous", description="The folder of the texture set that the body wore before"
    )


def register() -> None:
    """Give every material its look."""
    bpy.utils.register_class(MaterialLook)
    setattr(bpy.types.Material, _NAME, bpy.props.PointerProperty(type=MaterialLook))


def unregister() -> None:
    """Take it back."""
    delattr(bpy.types.Material, _NAME)
    bpy.utils.unregister_class(MaterialLook)

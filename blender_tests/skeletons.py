"""Synthetic bodies for the tests of motion and export: SMPL's joints at rest, and armatures that have them."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# The stubs of bpy call much optional that is there.

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

# Half a body in SMPL's axes (x left, y up, z forward), metres, about as SMPL has it.
_MIDDLE = {
    "pelvis": (0.0, -0.22, 0.03),
    "spine1": (0.0, -0.11, 0.0),
    "spine2": (0.0, 0.02, 0.0),
    "spine3": (0.0, 0.08, 0.03),
    "neck": (0.0, 0.29, -0.02),
    "head": (0.0, 0.35, 0.03),
}
_LEFT = {
    "hip": (0.07, -0.31, 0.02),
    "knee": (0.11, -0.69, 0.01),
    "ankle": (0.09, -1.09, -0.03),
    "foot": (0.11, -1.15, 0.09),
    "collar": (0.08, 0.19, 0.0),
    "shoulder": (0.17, 0.22, -0.02),
    "elbow": (0.43, 0.21, -0.04),
    "wrist": (0.68, 0.22, -0.05),
    "hand": (0.77, 0.21, -0.06),
}
REST = {
    **_MIDDLE,
    **{f"left_{name}": place for name, place in _LEFT.items()},
    **{f"right_{name}": (-place[0], *place[1:]) for name, place in _LEFT.items()},
}
# From SMPL's axes to Blender's: z up, facing -y.
TO_BLENDER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def add_armature(
    parents: dict[str, str], axes: np.ndarray = TO_BLENDER, *, renamed: bool = False, without: tuple[str, ...] = ()
) -> bpy.types.Object:
    """An armature with SMPL's joints under a root bone of its own.

    Args:
        parents: The parent of each joint.
        axes: From SMPL's axes to the armature's.
        renamed: Bones have names of their own and the joints' in a property; ends and rolls lie anyhow.
        without: Joints that have no bone.
    """
    random = np.random.default_rng(1)
    armature = bpy.data.objects.new("Armature", bpy.data.armatures.new("Armature"))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = armature.data.edit_bones
    root = bones.new("root")
    root.tail = (0, 0.1, 0)
    made = {}
    for joint in ("pelvis", *parents):
        if joint not in REST or joint in without:
            continue
        parent = parents.get(joint)
        while parent in without:
            parent = parents[parent]
        bone = made[joint] = bones.new(f"bone {len(made)}" if renamed else joint)
        bone.head = axes @ np.array(REST[joint])
        bone.tail = np.array(bone.head) + (random.normal(size=3) if renamed else axes @ (0, 0.1, 0))
        bone.roll = random.uniform(-3, 3) if renamed else 0.0
        bone.parent = made[parent] if parent else root
        if renamed:
            bone["smpl"] = joint
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def add_body(armature: bpy.types.Object) -> bpy.types.Object:
    """A box for each bone, with UVs, weights and two shape keys for betas, moved by the armature."""
    vertices, faces = [], []
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.03
    sides = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    bones = [bone for bone in armature.data.bones if bone.name != "root"]
    for bone in bones:
        faces += [tuple(len(vertices) + corner for corner in side) for side in sides]
        vertices += [tuple(np.array(bone.head_local) + corner) for corner in corners]
    mesh = bpy.data.meshes.new("Body")
    mesh.from_pydata(vertices, [], faces)
    mesh.uv_layers.new(name="SMPL")
    mesh.uv_layers[0].uv.foreach_set("vector", np.tile([0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9], len(faces)))
    body = bpy.data.objects.new("Body", mesh)
    bpy.context.scene.collection.objects.link(body)
    for number, bone in enumerate(bones):
        body.vertex_groups.new(name=bone.name).add(list(range(8 * number, 8 * number + 8)), 1.0, "REPLACE")
    body.shape_key_add(name="Basis")
    for name in ("Shape000", "Shape001"):
        key = body.shape_key_add(name=name)
        key.points.foreach_set("co", (np.array(vertices) * 1.1).ravel())
        key.value = 0.0
    body.parent = armature
    body.modifiers.new("Armature", "ARMATURE").object = armature
    return body


def places(armature: bpy.types.Object, joints: dict[str, str]) -> dict[str, np.ndarray]:
    """Where joints are in the world at the present frame: `joints` has the bone's name of each."""
    bpy.context.view_layer.update()
    evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    world = Matrix(evaluated.matrix_world)
    return {joint: np.array(world @ evaluated.pose.bones[bone].head) for joint, bone in joints.items()}


def matrix(vector: np.ndarray) -> np.ndarray:
    """(3, 3) of a rotation vector, by Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = np.asarray(vector) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def kinematics(joints: tuple[str, ...], parents: dict[str, str], pose: np.ndarray) -> dict[str, np.ndarray]:
    """Where SMPL puts its joints, in its own axes, pelvis at its rest place: pose is (J, 3) rotation vectors."""
    turned = {"pelvis": matrix(pose[joints.index("pelvis")])}
    found = {"pelvis": np.array(REST["pelvis"])}
    for joint, parent in parents.items():
        if joint not in REST:
            continue
        own = matrix(pose[joints.index(joint)]) if joint in joints else np.eye(3)
        found[joint] = found[parent] + turned[parent] @ (np.array(REST[joint]) - np.array(REST[parent]))
        turned[joint] = turned[parent] @ own
    return found

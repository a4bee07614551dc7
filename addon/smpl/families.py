"""The families of body models, as published: how many vertices and joints they have, and the joints' names.

Sources: the papers of SMPL (2015), SMPL-H / MANO (2017), SMPL-X (2019), STAR (2020) and SUPR (2022), and what
the programs published with them read.
"""

from __future__ import annotations

from dataclasses import dataclass

_BODY = (
    "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist"
).split()
_FINGERS = tuple(
    f"{side}_{finger}{number}"
    for side in ("left", "right")
    for finger in ("index", "middle", "pinky", "ring", "thumb")
    for number in (1, 2, 3)
)
_FACE = ("jaw", "left_eye_smplhf", "right_eye_smplhf")
_WHOLE = (*_BODY, *_FACE, *_FINGERS)

SMPL_VERTICES, SMPL_TRIANGLES = 6890, 13776
SMPLX_VERTICES, SMPLX_TRIANGLES = 10475, 20908


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of body model.

    Attributes:
        name: As its authors write it.
        vertices: How many.
        triangles: How many.
        joint_names: In the order of the kinematic tree.
        rotation: What the pose correctives follow: "matrix" (rotation minus identity, 9 numbers a joint but the root)
            or "quaternion" (x, y, z, w - 1).
        root_corrects: Whether the root's rotation is among them.
        weight_corrects: Whether the second beta is the last of them (STAR).
        expressions: How many of the last shape directions are facial expressions in a complete model.
    """

    name: str
    vertices: int
    triangles: int
    joint_names: tuple[str, ...]
    rotation: str = "matrix"
    root_corrects: bool = False
    weight_corrects: bool = False
    expressions: int = 0

    @property
    def correctives(self) -> int:
        """How many numbers the pose correctives follow."""
        numbers = 9 if self.rotation == "matrix" else 4
        return (len(self.joint_names) - (not self.root_corrects)) * numbers + self.weight_corrects


_SMPL_JOINTS = (*_BODY, "left_hand", "right_hand")

FAMILIES = (
    Family("SMPL", SMPL_VERTICES, SMPL_TRIANGLES, _SMPL_JOINTS),
    Family("STAR", SMPL_VERTICES, SMPL_TRIANGLES, _SMPL_JOINTS, rotation="quaternion", weight_corrects=True),
    Family("SMPL-H", SMPL_VERTICES, SMPL_TRIANGLES, (*_BODY, *_FINGERS)),
    Family("SMPL-X", SMPLX_VERTICES, SMPLX_TRIANGLES, _WHOLE, expressions=100),
    # The names of SUPR's last 20 joints, the toes', are not published.
    Family(
        "SUPR",
        SMPLX_VERTICES,
        SMPLX_TRIANGLES,
        (*_WHOLE, *(f"toe{number:02d}" for number in range(1, 21))),
        rotation="quaternion",
        root_corrects=True,
    ),
)


def family_of(vertices: int, joints: int, correctives: int) -> Family | None:
    """The family with these numbers. A model without correctives is taken for the first that fits."""
    for family in FAMILIES:
        if (family.vertices, len(family.joint_names)) == (vertices, joints) and correctives in (0, family.correctives):
            return family
    return None

"""A photo of a face and a sentence become a texture set for a body in SMPL's UV atlas."""

__version__ = "0.1.0"

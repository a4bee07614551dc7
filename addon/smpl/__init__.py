"""Body models of the SMPL family: readers that run nothing of what they read, and what Blender makes of them.

`build` and `follow` need bpy; all the rest needs numpy alone.
"""

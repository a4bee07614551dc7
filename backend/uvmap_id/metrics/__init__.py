"""How good textures are: the five figures of UVMap-ID, and ours."""

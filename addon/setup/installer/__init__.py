"""Makes the backend's private environment. Runs under plain Python as well as inside Blender."""

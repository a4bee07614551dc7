"""Getting the backend: set up here, or reached elsewhere; its weights, and what to tell when something is wrong.

Nothing here knows bpy. `installer/` is left out of the zip for the official extensions site.
"""

"""How Blender and the command line talk to the server: standard library and pyzmq only.

This folder is copied as it is into the Blender extension, so it imports nothing else of ours.
"""

"""How Blender and the command line talk to the server: standard library and pyzmq only.

This folder is copied as it is into the Blender extension, so it imports nothing else of ours. Its modules are
imported one by one: who reads only the messages or the connection file needs no pyzmq.
"""

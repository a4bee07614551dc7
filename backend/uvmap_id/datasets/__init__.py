"""Folders of textures with the words and the identity they were made from."""

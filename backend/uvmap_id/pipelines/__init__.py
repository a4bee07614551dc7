"""Diffusion in the atlas: the pipeline, and the modules that it is made of."""

"""People who don't exist: their faces, portraits and textures are drawn from a number, and from nothing else."""

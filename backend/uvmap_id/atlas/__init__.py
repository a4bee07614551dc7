"""The SMPL UV layout: parts, landmarks, rasters, padding. Knows no torch."""

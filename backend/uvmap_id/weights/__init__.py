"""Weights: which there are, how they come here, and how each kind is recognised and loaded."""

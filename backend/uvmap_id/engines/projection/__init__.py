"""The engine that needs no weights: the photo's face is warped into the atlas, the rest is painted to match."""

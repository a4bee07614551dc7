"""Bodies in SMPL's atlas: reading them, and baking the mannequin that the extension brings."""

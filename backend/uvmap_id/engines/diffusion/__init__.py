"""The engine "uvmap-id": the paper's pipeline on the weights that a user has."""

"""Fine-tuning with prior preservation: the recipe of UVMap-ID."""

"""`python -m uvmap_id` is the same as the command `uvmap-id`."""

from uvmap_id.cli import main

main()

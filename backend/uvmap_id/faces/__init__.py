"""Reading photos and finding the faces in them. Knows no torch."""

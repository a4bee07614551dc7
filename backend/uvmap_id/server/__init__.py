"""The server: takes jobs from clients, and has a worker process do them. Imports neither numpy nor an engine."""

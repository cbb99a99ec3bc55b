"""What `packaging/tests/packages` checks, one module for each kind of artefact."""

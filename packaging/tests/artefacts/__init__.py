"""The checks of `packaging/tests/packages`, one module per kind of artefact."""

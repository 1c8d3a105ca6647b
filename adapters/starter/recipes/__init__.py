"""How the starter models are made; a development matter (extra `recipes`), never imported at run time."""

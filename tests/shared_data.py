"""Where the large public data sets lie that some tests measure on; they are not part of the repository."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("PROCTOR_DATA", Path(__file__).parents[2] / "shared" / "data"))

needs_shared_data = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the public data sets are not at {FOLDER}; set PROCTOR_DATA to their folder"
)

"""Makes `import proctor` work from a bare checkout; the root comes last, so an installed package wins."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).parent)
if ROOT not in sys.path:
    sys.path.append(ROOT)

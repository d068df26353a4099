"""What tests may do that stays in their own process, where the program of a hidden exam is not."""

from __future__ import annotations

import re

_WORDS = re.compile(rb"\b(tempfile|tmp_path|tmpdir|mock_open|monkeypatch|assertLogs|assertNoLogs|caplog)\b")
# Patches of anything but the console, which is carried: patch("time.sleep"), patch.object(os, ...). Encoded
# texts have a backslash before a double quote.
_PATCH = re.compile(
    rb"\b(patch(?:\.object|\.dict|\.multiple)?)\(\s*(?!\\?[\"'](?:builtins\.(?:print|input)|sys\.std\w+)\\?[\"'])"
)


def kept_from_program(spec: bytes) -> str:
    """The first word of such a kind in encoded tests; "" where there is none.

    Files, patches and logs do not cross, so that a program may fail such tests without a fault of
    its own. Patches of the program itself do (`patched.py`); what fails among them is nobody's zero all the same.
    """
    found = _WORDS.search(spec) or (_PATCH.search(spec) if b"mock" in spec else None)
    return found[1].decode() if found else ""

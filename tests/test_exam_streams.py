"""Scripts in a jail write what they would write as `python script.py < input | cat`, wherever our own output goes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctor.sandbox.core import Limits, Program
from proctor.sandbox.local.host import LocalSandbox

ROOT = Path(__file__).absolute().parents[1]
STDIN = b"ab\ncd\n"

# The usual template of contests for fast input and output.
FAST_IO = """
import os, sys
from io import BytesIO, IOBase
class FastIO(IOBase):
    def __init__(self, file):
        self.fd, self.pieces = file.fileno(), BytesIO()
        self.writable = "x" in file.mode or "r" not in file.mode
    def readline(self):
        if not self.pieces.getvalue():
            self.pieces.write(os.read(self.fd, os.fstat(self.fd).st_size)), self.pieces.seek(0)
        return self.pieces.readline().decode()
    def write(self, text): self.pieces.write(text.encode())
    def flush(self):
        if self.writable:
            os.write(self.fd, self.pieces.getvalue())
            self.pieces.truncate(0), self.pieces.seek(0)
sys.stdin, sys.stdout = FastIO(sys.stdin), FastIO(sys.stdout)
input = lambda: sys.stdin.readline().rstrip()
print(input(), input())
"""
WRAP = "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint(input().upper())"
SCRIPTS = {
    "what streams say of themselves": "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr): print(s, s.name, s.mode,"
    " s.errors, s.isatty(), s.line_buffering, s.write_through, s.buffer, s.buffer.raw)\n"
    "print(sys.stdout.seekable(), sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__)",
    "template": FAST_IO,
    "template that leaves": FAST_IO + "import atexit\natexit.register(os.write, 1, b'end')\nsys.exit()",
    "wraps its output": WRAP,
    "wraps its errors": WRAP.replace("stdout", "stderr"),
    "detaches": "import sys\nprint('a')\nkept = sys.stdout.detach()\nkept.write(b'x')",
    "a file left open": "print('a')\nfile = open(1, 'w')\nprint('b', file=file)\ndef f(): return file\nprint('c')",
    "two files left open": "one, two = open(1, 'w'), open(1, 'w', closefd=False)\ntwo.write('2')\none.write('1')",
    "a method of a file": "write = open(1, 'w').write\nwrite('4')",
    "a copy in an object": "import os\nclass A: pass\na = A()\na.file = open(os.dup(1), 'w')\na.file.write('5')",
    "leaves within a function": "def f():\n    file = open(1, 'w')\n    print('b', file=file)\n    exit()\nprint('a')\nf()",
    "a last word": "class A:\n    def __del__(self): print('bye')\na = A()\nprint('hi')",
    "ends at once": "import os\nprint('a', flush=True)\nprint('b')\nos._exit(0)",
    "raises": "print('a')\n1 / 0",
    "leaves with a word": "import sys\nprint('a')\nsys.exit('no')",
    "mixes ways to write": "import os, sys\nprint('a')\nsys.stdout.buffer.write(b'b')\nos.write(1, b'c')\nprint('d')",
    "has children": "import os\nprint('a')\nos.system('echo b')\nif os.fork(): os.wait()\nprint('c')",
    "a thread goes on": "import threading, time\nprint('a')\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('b'))).start()",
    "a pool goes on": "from concurrent.futures import ThreadPoolExecutor\nimport time\npool = ThreadPoolExecutor(1)\n"
    "for n in range(2): pool.submit(lambda n=n: (time.sleep(0.05), print(n)))\nprint('main')",
    "order at the end": "import atexit, os, weakref\nclass A: pass\na = A()\natexit.register(os.write, 1, b'c')\n"
    "weakref.finalize(a, print, 'b')\nfile = open(1, 'w')\nfile.write('d')\nprint('a')",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox(1) as started:
        yield started


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_writes_what_it_would_behind_a_pipe(
    name: str, sandbox: LocalSandbox, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(SCRIPTS[name], encoding="utf-8")
    (tmp_path / "input").write_bytes(STDIN)
    command = [sys.executable, "-X", "utf8", "script.py"]
    with (tmp_path / "input").open() as stdin:
        real = subprocess.run(command, stdin=stdin, capture_output=True, cwd=tmp_path, env={}, timeout=20)
    payload = json.dumps({"sources": [SCRIPTS[name]]}).encode() + b"\n" + STDIN
    limits = Limits(cpu_s=5, wall_s=10)
    found = sandbox.run(Program(entry="proctor.sandbox.exam.script:run", payload=payload, limits=limits))
    assert found.stdout == real.stdout
    assert (found.exit_code == 0) == (real.returncode in (0, 120))  # 120: its streams could not be flushed


JUDGE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import conftest
from tests.judging import judge
values = [
    judge({WRAP!r}, [{{"input": "ab", "output": "AB"}}]).value,
    judge({WRAP!r}, [{{"input": "ab", "output": "ab"}}]).value,
    judge("import io, sys\\ndef f(): sys.stdout = io.TextIOWrapper(sys.stdout.buffer); return 1", "assert f() == 1").value,
]
sys.exit(values != [1.0, 0.0, 1.0])
"""


@pytest.mark.parametrize("outputs", [">file 2>&1", ">&- 2>&-", "<&- >&- 2>&-"])
def test_verdicts_do_not_depend_on_where_our_own_output_goes(outputs: str, tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", f'exec "$0" "$@" {outputs}', sys.executable, "-c", JUDGE]
    assert subprocess.run(command, cwd=tmp_path, timeout=60).returncode == 0

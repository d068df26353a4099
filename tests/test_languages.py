"""Every language compiles, runs and fails as it should; what is missing is said, and is nobody's wrong answer."""

from __future__ import annotations

import time

import pytest

from proctor.sandbox import languages
from proctor.sandbox.core import Execution, Limits, Outcome, Program
from proctor.sandbox.languages import LANGUAGES, MissingToolError, find_language, tools_of, version_of
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.programs import stdio
from proctor.verifiers.programs.building import Builder
from proctor.verifiers.programs.part import Code, Compiles, Executes
from proctor.verifiers.programs.sandboxes import SandboxKey, sandbox_for

# Sum of two integers from standard input; and what the language's compiler, or checker, refuses.
SUMS = {
    "python": ("a, b = map(int, input().split())\nprint(a + b)\n", "print(1"),
    "c": ('#include <stdio.h>\nint main() { long long a, b; scanf("%lld %lld", &a, &b); printf("%lld\\n", a + b); }', "int main( {"),
    "cpp": ("#include <bits/stdc++.h>\nint main() { long long a, b; std::cin >> a >> b; std::cout << a + b << std::endl; }", "int main() { x; }"),
    "javascript": ("const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number);\nconsole.log(a + b);\n", "let let = ;"),
    "java": ("import java.util.*;\npublic class Sum { public static void main(String[] x) { Scanner s = new Scanner(System.in); System.out.println(s.nextLong() + s.nextLong()); } }", "class X { int x = ; }"),
    "rust": ("use std::io::*;\nfn main() { let mut s = String::new(); stdin().read_to_string(&mut s).unwrap(); let t: i64 = s.split_whitespace().map(|x| x.parse::<i64>().unwrap()).sum(); println!(\"{}\", t); }", "fn main() { let x: i32 = \"a\"; }"),
    "go": ('package main\nimport "fmt"\nfunc main() { var a, b int64; fmt.Scan(&a, &b); fmt.Println(a + b) }', "package main\nfunc main() { x := 1 }"),
    "bash": ("read a b\necho $((a + b))\n", "if true; then"),
}  # fmt: skip
TESTS = [{"input": "1 2\n", "output": "3\n"}, {"input": "-5 5\n", "output": "0\n"}]


def is_installed(name: str) -> bool:
    try:
        tools_of(name)
    except MissingToolError:
        return False
    return True


def judge(name: str, code: str, **options: object) -> Verdict:
    part = Code(language=name, extraction="raw", **({"timeout": 10.0} | options))  # type: ignore[arg-type]
    return part.verify([Rollout(code, tests=TESTS)])[0]


@pytest.fixture(params=list(SUMS))
def language(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not is_installed(name):
        pytest.skip(f"{name} is not installed on this machine")
    return name


def test_every_language_has_its_test() -> None:
    assert [language.name for language in LANGUAGES] == list(SUMS)


def test_a_right_program_passes_and_a_wrong_one_does_not(language: str) -> None:
    code, _ = SUMS[language]
    assert judge(language, code).status is Status.CORRECT
    wrong = code.replace("+ b", "- b").replace(".sum()", ".product()").replace("() + s", "() - s")
    verdict = judge(language, wrong)
    assert verdict.status is Status.INCORRECT
    assert verdict.evidence["failure"]["expected"] == "3\n"


def test_what_does_not_compile_is_a_compile_error(language: str) -> None:
    verdict = judge(language, SUMS[language][1])
    assert (verdict.value, verdict.status) == (0.0, Status.COMPILE_ERROR)
    part = Compiles(language=language, extraction="raw")
    good, bad = part.verify([Rollout(SUMS[language][0]), Rollout(SUMS[language][1])])
    assert (good.value, bad.value) == (1.0, 0.0)


@pytest.mark.skipif(not is_installed("cpp"), reason="g++ is not installed on this machine")
@pytest.mark.parametrize(
    "sum_of",
    [
        "int identity(long long) { return 0; }\nlong long f(long long a, long long b) { return a + b + identity(a); }",
        "#include <bit>\nauto f(auto a, auto b) { return a + b + std::popcount(0u); }",
    ],
    ids=["a name that C++20 has taken", "C++20"],
)
def test_programs_of_old_and_new_cpp_compile(sum_of: str) -> None:
    main = "int main() { long long a, b; cin >> a >> b; cout << f(a, b) << endl; }"
    code = f"#include <bits/stdc++.h>\nusing namespace std;\n{sum_of}\n{main}"
    assert judge("cpp", code).status is Status.CORRECT


def test_versions_are_asked_of_the_tools_themselves(language: str) -> None:
    assert any(character.isdigit() for character in version_of(language))


def test_equal_programs_are_compiled_once() -> None:
    class Counting:
        def __init__(self) -> None:
            self.runs = 0
            self.inner = sandbox_for(SandboxKey("local", "full", language="c"))

        def run(self, program: Program) -> Execution:
            self.runs += 1
            return self.inner.run(program)

    sandbox = Counting()
    builder = Builder(max_bytes=40_000)
    program = "int main() { return %d; }"
    for number in (0, 1, 0, 1):
        built = builder.build(program % number, "c", sandbox)  # type: ignore[arg-type]
        assert sandbox.inner.run(built.program(b"", Limits())).exit_code == number
    assert sandbox.runs == 2
    for number in range(2, 6):  # 16 kB each: the first ones have to go
        builder.build(program % number, "c", sandbox)  # type: ignore[arg-type]
    builder.build(program % 0, "c", sandbox)  # type: ignore[arg-type]
    assert sandbox.runs == 7


def test_a_compiler_that_explodes_is_stopped() -> None:
    bomb = "int main[1 << 29] = {1};"
    verdict = judge("c", bomb)
    assert verdict.status is Status.COMPILE_ERROR
    assert verdict.evidence["outcome"] != Outcome.OK.value


def test_a_missing_tool_is_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages.shutil, "which", lambda tool: None)
    tools_of.cache_clear()
    monkeypatch.setattr(stdio, "builder", Builder())
    verdict = judge("rust", SUMS["rust"][0])
    tools_of.cache_clear()
    assert (verdict.value, verdict.status) == (None, Status.MISCONFIGURED)
    assert "'rustc'" in verdict.evidence["problem"]


def test_unknown_languages_and_aliases() -> None:
    assert find_language("C++").name == "cpp"
    with pytest.raises(ValueError, match=r"unknown language 'cobol'; known are python, c, cpp"):
        Code(language="cobol")


def test_a_java_program_may_have_any_class_name() -> None:
    main_of = find_language("java").main_of
    assert main_of("class A {}\npublic class Solve { void main }") == "Solve"
    assert main_of("class Helper { }\nclass Run { public static void main(String[] a) {} }") == "Run"
    assert main_of("no class at all") == "Main"
    assert main_of("/* public class No { */ // public class No {\npublic enum Yes { A }") == "Yes"
    assert main_of('@A(x = "}{") public strictfp final class Yes<T> extends No {') == "Yes"
    assert (
        main_of("class Yes { static class No { int main; } void main() {} }\nclass No { void main() {} }")
        == "Yes"
    )
    assert main_of("package org.example ;\npublic record Yes(int x) {}") == "org/example/Yes"


def test_a_java_program_is_started_where_main_is() -> None:
    java = find_language("java")
    code = "public class Helper { }\nclass Run { public static void main(String[] a) {} }"
    assert java.start_of is not None
    assert (java.main_of(code), java.start_of(code)) == ("Helper", "Run")
    assert java.start_of("class A { void main() {} }\npublic class B { void main() {} }") == "B"
    if is_installed("java"):
        helped = SUMS["java"][0].replace("public class", "public class Helper { }\nclass")
        assert judge("java", helped).status is Status.CORRECT


@pytest.mark.skipif(not is_installed("cpp"), reason="g++ is not installed on this machine")
def test_programs_may_recurse_as_deep_as_searches_do_and_have_threads_beside() -> None:
    deep = "int f(int n) { volatile char b[64]; b[0] = n; return n == 0 ? 0 : 1 + f(n - 1) + b[0] - b[0]; }"
    threads = "for (int i = 0; i < 12; i++) v.emplace_back([] {}); for (auto &t : v) t.join();"
    code = (
        f"#include <bits/stdc++.h>\n#include <thread>\nusing namespace std;\n{deep}\n"
        f"int main() {{ vector<thread> v; {threads} long long a, b; cin >> a >> b;\n"
        "cout << a + b + f(400000) - 400000 << endl; }"
    )
    assert judge("cpp", code).status is Status.CORRECT


def test_a_java_program_in_a_package_runs() -> None:
    if not is_installed("java"):
        pytest.skip("java is not installed on this machine")
    code = SUMS["java"][0].replace("import", "package org.example;\nimport", 1)
    assert judge("java", code).status is Status.CORRECT


@pytest.mark.parametrize("head", ["public class {}", "package {}; class A", "package a.{}; class A"])
def test_a_java_name_too_long_for_a_file_is_the_programs_own_fault(head: str) -> None:
    if not is_installed("java"):
        pytest.skip("java is not installed on this machine")
    main = " { public static void main(String[] a) {} }"
    assert judge("java", head.format("\u00e9" * 300) + main).value == 0.0


@pytest.mark.parametrize("bomb", ["\n", "class a\n", "class ", "package a.", "/*", '"', '"""\\', "class a{"])
def test_the_search_for_a_java_class_takes_linear_time(bomb: str) -> None:
    start = time.process_time()
    find_language("java").main_of(bomb * (400_000 // len(bomb)) + "\\")
    assert time.process_time() - start < 5  # a tenth of a second; minutes where it looks back


def test_limits_of_a_program_in_another_language() -> None:
    assert judge("c", "int main() { for (;;); }", timeout=2.0).status is Status.TIME_LIMIT
    assert judge("c", "int main() { return *(int *)0; }").status is Status.RUNTIME_ERROR
    flood = '#include <stdio.h>\nint main() { for (;;) puts("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"); }'
    assert judge("c", flood).status is Status.OUTPUT_LIMIT
    eater = "#include <stdlib.h>\n#include <string.h>\nint main() { for (;;) memset(malloc(1 << 24), 1, 1 << 24); }"
    assert judge("c", eater, memory_mb=64).status in (Status.MEMORY_LIMIT, Status.RUNTIME_ERROR)


def test_executes_asks_for_a_clean_end_only() -> None:
    part = Executes(extraction="raw", timeout=2.0)
    codes = ["x = 1", "1 / 0", "def f(: pass", "import sys; sys.exit(0)", "while True: pass", ""]
    statuses = [verdict.status for verdict in part.verify([Rollout(code) for code in codes])]
    expected = [Status.CORRECT, Status.RUNTIME_ERROR, Status.COMPILE_ERROR, Status.CORRECT, Status.TIME_LIMIT]
    assert statuses == [*expected, Status.NO_ANSWER]

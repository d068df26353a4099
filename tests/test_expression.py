"""The language: text, tables and Python objects give the same expression, and mistakes are pointed at."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import proctor
from proctor.verifiers import nodes
from proctor.verifiers.expression import ExpressionError, parse, reward
from proctor.verifiers.expressions.parse import MAX_DEPTH, parse_table, parse_with_spans
from proctor.verifiers.nodes import Field, Node, Number, Schedule, clip, maximum, minimum, when
from tests.expressions import CALM, EXPRESSIONS
from tests.scripted_parts import Blue, Exam, Red, Shape, registered


@pytest.fixture(scope="module", autouse=True)
def _parts() -> Iterator[None]:
    with registered():
        yield


SAME = [
    ("0.9 * red + 0.1 * shape('boxed')", 0.9 * Red() + 0.1 * Shape("boxed")),
    ("red * 0.9 + shape('boxed') * 0.1", Red() * 0.9 + Shape("boxed") * 0.1),
    ("red() - blue(2) / blue(scale=2.0)", Red() - Blue(2.0) / Blue(2.0)),
    ("1 - -red", 1 - -Red()),
    ("2 / red - 0.5", 2 / Red() - 0.5),
    ("red + -0.5", Red() + -0.5),
    ("+red", Red()),
    ("(((red)))", Red()),
    ("shape('boxed') and exam", Shape("boxed") & Exam()),
    ("red and blue and exam", Red() & Blue() & Exam()),
    ("red and (blue or not exam)", Red() & (Blue() | ~Exam())),
    ("red > 0.5 and blue <= 1", (Red() > 0.5) & (Blue() <= 1)),
    ("0 < red < 1", nodes.And(nodes.Compare("<", Number(0), Red()), nodes.Compare("<", Red(), Number(1)))),
    ("exam if task == 'code' else red", when(Field("task").equals("code"), Exam(), Red())),
    ("when(task in ('a', 'b'), exam)", when(Field("task").one_of("a", "b"), Exam())),
    ("exam if task in ['a', 'b'] else 0", when(Field("task").one_of("a", "b"), Exam())),
    ("exam if difficulty > 3 else None", nodes.When(Field("difficulty") > 3, Exam(), nodes.Constant(None))),
    ("red if field('my column') else blue", when(Field("my column"), Red(), Blue())),
    ("clip(red - 0.5 * blue, -1, 1)", clip(Red() - 0.5 * Blue(), -1, 1)),
    ("min(red, 0.5) + max(0, blue)", minimum(Red(), 0.5) + maximum(0, Blue())),
    ("abs(red - blue)", abs(Red() - Blue())),
    ("schedule(0.2, 0.0, steps=500) * red", Schedule(0.2, 0.0, steps=500) * Red()),
    ("schedule(-0.2, 0.0, 500) * red", Schedule(-0.2, 0.0, 500) * Red()),
    ("shape(json({'type': 'object'}))", Shape("json", schema={"type": "object"})),
    ("shape(xml('a', 'b'))", Shape("xml", tags=("a", "b"))),
    ("shape(xml(['a', 'b']))", Shape("xml", tags=("a", "b"))),
    (
        "shape('json', {'enum': [1, 2.5, None, True, -1]})",
        Shape("json", schema={"enum": [1, 2.5, None, True, -1]}),
    ),
    ("truncated == False and red", Field("truncated").equals(False) & Red()),
    ("  red  # a comment", Red()),
    ("red\n  + blue\n", Red() + Blue()),
    ("red\r\n+ blue", Red() + Blue()),
]


@pytest.mark.parametrize(("source", "node"), SAME, ids=[source for source, _ in SAME])
def test_text_and_python_give_the_same_object(source: str, node: Node) -> None:
    made = reward(source)
    assert made == reward(node)
    assert (str(made), made.hash) == (str(reward(node)), reward(node).hash)


@settings(CALM, max_examples=500)
@given(EXPRESSIONS)
def test_what_is_printed_is_read_back(node: Node) -> None:
    again = parse(str(node))
    assert again == node
    assert str(again) == str(node)


@settings(CALM, max_examples=200)
@given(EXPRESSIONS)
def test_spans_cut_the_sub_expressions_out(node: Node) -> None:
    whole, spans = parse_with_spans(str(node))
    for under in nodes.walk(whole):
        if id(under) in spans and not isinstance(under, nodes.Constant):
            start, end = spans[id(under)]
            assert parse(f"abs({str(node)[start:end]})") == nodes.Abs(under)


@settings(CALM, max_examples=100)
@given(EXPRESSIONS)
def test_expressions_pickle_and_copy(node: Node) -> None:
    made = reward(node)
    made.score([])
    assert pickle.loads(pickle.dumps(made)) == made
    assert copy.deepcopy(made) == made


@CALM
@given(st.text() | st.text(st.characters(exclude_categories=())))
def test_any_text_is_an_option(text: str) -> None:
    node = Red() + (Field("task").equals(text) & Field(text))
    assert parse(str(node)) == node


@CALM
@given(st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_numbers_keep_every_digit(value: float) -> None:
    assert parse(str(Number(value))) == Number(value)


@pytest.mark.parametrize(
    ("source", "canonical"),
    [
        ("red+1.0*(blue)", "red + 1 * blue"),
        ("red(scale=1)", "red"),
        ("red( scale = 2.50 )", "red(scale=2.5)"),
        ("shape(shape='boxed')", 'shape("boxed")'),
        ("shape(json({'a': (1,)}))", 'shape("json", schema={"a": (1,)})'),
        ("red - (blue - exam)", "red - (blue - exam)"),
        ("(red - blue) - exam", "red - blue - exam"),
        ("-(red + 1) * 2", "-(red + 1) * 2"),
        ("not (red and blue)", "not (red and blue)"),
        ("(red if blue else 1) + 2", "(red if blue else 1) + 2"),
        ("(red or blue) and exam", "(red or blue) and exam"),
        ("1e3 + red", "1000 + red"),
    ],
)
def test_canonical_text(source: str, canonical: str) -> None:
    assert str(reward(source)) == canonical


def test_the_hash_is_that_of_the_text_in_any_process() -> None:
    code = "import hashlib; print(hashlib.sha256(b'red + 1').hexdigest()[:16])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert reward(" red  + 1.0").hash == out.strip()
    assert reward("red + 1").hash != reward("1 + red").hash


def test_tables_of_weights() -> None:
    table = {"red": 0.9, 'shape("boxed")': 0.1, "blue": -0.5, "exam": 1, "rank": "schedule(0.2, 0, steps=5)"}
    expected = '0.9 * red + 0.1 * shape("boxed") - 0.5 * blue + exam + schedule(0.2, 0, steps=5) * rank'
    assert reward(table) == reward(expected)
    assert reward({"red": -1}) == reward("-red")
    assert reward(json.loads(json.dumps(table))).hash == reward(expected).hash


def test_toml_gives_the_same_object() -> None:
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    config = tomllib.loads("""
        text = '0.9 * red + 0.1 * shape("boxed")'
        lines = '''
            0.9 * red             # what counts
            + 0.1 * shape("boxed")
        '''
        [table]
        red = 0.9
        'shape("boxed")' = 0.1
    """)
    made = {reward(config[way]).hash for way in ("text", "lines", "table")}
    assert made == {reward(0.9 * Red() + 0.1 * Shape("boxed")).hash}


@pytest.mark.parametrize("table", [{}, {"red": "oops"}, {"oops": 1}])
def test_a_bad_table_is_an_expression_error(table: dict[str, float | str]) -> None:
    with pytest.raises(ExpressionError):
        parse_table(table)


def test_a_part_s_class_stands_for_the_part() -> None:
    assert reward(Red) == reward("red")


MISTAKES = [
    (
        "red + 0.1 * shap('boxed')",
        "shap",
        "unknown part 'shap' (did you mean 'shape'?); 'proctor rewards' lists all parts",
    ),
    ("re + blue", "re", "unknown part 're' (did you mean 'red'?)"),
    ("clp(red, 0, 1)", "clp", "unknown part 'clp' (did you mean 'clip'?)"),
    ("red + tusk", "tusk", "(did you mean 'task'?)"),
    ("red + difficulty", "difficulty", 'a column of that name is written field("difficulty")'),
    ("red(scal=2)", "scal=2", "red has no option 'scal' (did you mean 'scale'?); its options: scale"),
    ("red(scale='big')", "scale='big'", "option 'scale' of red must be a number, got \"big\""),
    ("red(scale=True)", "scale=True", "option 'scale' of red must be a number, got True"),
    ("red(1, 2)", "2", "red has the options scale, and no more"),
    ("red(1, scale=2)", "scale=2", "option 'scale' of red is given twice"),
    ("rank(1)", "1", "rank has no options"),
    ("red + shape", "shape", "shape needs its option 'shape': shape(shape=...)"),
    ("red + shape(boxed)", "boxed", 'text needs quotes: "boxed"'),
    ("shape('boxes')", "shape('boxes')", "shape: no shape is called 'boxes'"),
    ("shape(jsn({}))", "jsn({})", "shape knows no 'jsn(...)' (did you mean 'json'?); known: json, xml"),
    ("shape(json(1))", "json(1)", "option 'schema' of shape must be a dict or None, got 1"),
    ("shape(json())", "json()", "json(...) takes one argument, the schema"),
    ("shape(xml(1))", "xml(1)", "option 'tags' of shape must be a list, each text in quotes"),
    ("shape('json', schema={1: 2})", "1", "the keys of a dict are text in quotes"),
    ("shape('\\boxed')", "'\\boxed'", "double the backslash, or write raw text: r'\\boxed'"),
    ("red.scale", "red.scale", "attributes cannot be read"),
    ("red['a']", "red['a']", "items cannot be read"),
    ("red ** 2", "red ** 2", "powers are not supported; the operators are + - * /"),
    ("red % 2", "red % 2", "mod is not supported in a reward expression"),
    ("red & blue", "red & blue", "write 'and' for the gate in text"),
    ("~red", "~red", "write 'not' in text"),
    ("red is None", "red is None", "write '==' in place of 'is'"),
    ("task < None", "task < None", "None is compared by == and != only"),
    ("red in blue", "red in blue", "'in' wants a list, text or a column on its right"),
    ("True", "True", "True is no number; text, True and False stand in comparisons"),
    ("red + 'x'", "'x'", "'x' is no number"),
    ("red + 1e999", "1e999", "this number is too large"),
    ("clip(red)", "clip(red)", "clip is written clip(x, low, high)"),
    ("clip(red, 1, 0)", "clip(red, 1, 0)", "clip needs low <= high"),
    ("clip(red, 0, blue)", "blue", "text needs quotes"),
    ("red + clip", "clip", "clip is written clip(x, low, high)"),
    ("schedule(0, 1, steps=0)", "schedule(0, 1, steps=0)", "steps of a schedule must be at least 1, got 0"),
    ("schedule(0, 1, steps=1.5)", "1.5", "steps must be a whole number"),
    ("schedule(0, red, steps=5)", "red", "text needs quotes"),
    ("schedule(0, 1, step=5)", "step=5", "schedule is written schedule(start, end, steps=500)"),
    ("min(*red)", "min(*red)", "min is written min(x, y, ...)"),
    ("red(**{})", "**{}", "options are written out, one by one"),
    ("(red + blue", "(", "this is no expression: '(' was never closed"),
    ("red) + (blue", "red) + (blue", "a parenthesis is closed that was never opened"),
    ("red + ", "", "this is no expression: invalid syntax"),
    ("red = 1", "r", "this is no expression: invalid syntax"),
    ("red + 日本.x", "日本.x", "attributes cannot be read"),
    ("red +\n  blue +\n  grin", "grin", "unknown part 'grin'"),
    ("", "", "the expression is empty"),
    ("# nothing", "# nothing", "the expression is empty"),
]


@pytest.mark.parametrize(("source", "marked", "problem"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_mistakes_are_pointed_at(source: str, marked: str, problem: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(source)
    assert problem in caught.value.problem
    assert source[slice(*caught.value.span)] == marked


def test_the_message_shows_line_column_and_caret() -> None:
    with pytest.raises(ExpressionError) as caught:
        reward("0.9 * red\n\t+ 0.1 * '日本' ")
    assert str(caught.value) == (
        "line 2, column 10: '日本' is no number; text, True and False stand in comparisons\n"
        "    \t+ 0.1 * '日本' \n"
        "    \t        ^^^^^^"
    )
    assert isinstance(caught.value, ValueError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.span) == (str(caught.value), caught.value.span)


def test_only_the_neighbourhood_of_a_long_line_is_shown() -> None:
    with pytest.raises(ExpressionError) as caught:
        reward(" + ".join(["red"] * 40 + ["grin"] + ["red"] * 40))
    shown = str(caught.value).splitlines()
    assert len(shown[1]) < 220
    assert shown[1][shown[2].index("^") :].startswith("grin")


ATTACKS = [
    "__import__('os').system('touch pwned')",
    "red.__class__.__mro__",
    "(lambda: 1)()",
    "[red for red in (1, 2)]",
    "{**{}}",
    "f'{red}'",
    "(red := 1)",
    "await red",
    "yield",
    "exec('1')",
    "9 ** 9 ** 9 ** 9",
    "red(scale=__import__('os'))",
    "shape(json({'a': open('/etc/passwd')}))",
    "clip(red, 0, ().__class__)",
    "'a' * 10 ** 9",
    "1j",
    "...",
    "b'x'",
    "9" * 5_000,
    "(" * 10_000,
    "(" * 10_000 + "red" + ")" * 10_000,
    "-" * 10_000 + "red",
    "not " * 10_000 + "red",
    "red + " * 10_000 + "red",
    "red" + ".a" * 10_000,
    "red if " * 5_000 + "red" + " else red" * 5_000,
    "[" * 199 + "]" * 199,
    "shape(json(" + "[" * 150 + "]" * 150 + "))",
    "red" + " " * 200_000,
    "\0",
    "red\0",
    "\ud800",
    "'\ud800'",
    "red; red",
    "red\nred",
    "import os",
    "\\",
    "'",
    '"""',
]


@pytest.mark.parametrize("source", ATTACKS, ids=[ascii(source[:30]) for source in ATTACKS])
def test_attacks_are_clean_errors(source: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(source)
    assert len(str(caught.value)) < 1_000


@settings(CALM, max_examples=500)
@given(st.text() | st.text(alphabet="red blue()+-*/<>=!,.'\"\\[]{}:#\n\t0123456789eJ_@&|^~%;日", max_size=40))
def test_any_text_is_read_or_refused(source: str) -> None:
    read_or_refused(source)


WORDS = (
    "red blue exam rank shape len task num_tokens level clip min max abs when schedule field json and or not "
)
SIGNS = (
    "== != < >= + - * / ** ( ) [ ] { } , : = . # \\ := & | 'boxed' \"a\" 0 1.5 1e999 steps= scale= f'{red}' "
)
PIECES = [*(WORDS + SIGNS + "in is if else lambda for None True").split(), "\n"]


@settings(CALM, max_examples=1_000)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_any_words_are_read_or_refused(source: str) -> None:
    read_or_refused(source)


@settings(CALM, max_examples=300)
@given(EXPRESSIONS, st.data())
def test_a_damaged_expression_is_an_expression_or_an_expression_error(
    node: Node, data: st.DataObject
) -> None:
    source = str(node)
    at = data.draw(st.integers(0, len(source)))
    upto = data.draw(st.integers(at, len(source)))
    read_or_refused(
        source[:at] + data.draw(st.sampled_from(["", "(", ")", ",", " and ", "'"])) + source[upto:]
    )


def read_or_refused(source: str) -> None:
    try:
        node = parse(source)
    except ExpressionError as error:
        refused = error
    else:
        assert parse(str(node)) == node
        return
    assert 0 <= refused.span.start <= refused.span.end <= len(refused.source) + 1
    assert refused.problem in str(refused)


def test_depth_is_limited_and_the_limit_itself_works() -> None:
    deepest = "-" * (MAX_DEPTH - 1) + "red"
    assert parse(str(parse(deepest))) == parse(deepest)
    reward(deepest).check()
    with pytest.raises(ExpressionError, match="nested more than 100 levels deep"):
        parse("-" + deepest)


def test_python_s_own_and_is_refused() -> None:
    with pytest.raises(TypeError, match="write & for 'and'"):
        Red() and Blue()
    with pytest.raises(TypeError, match="put parentheses around comparisons"):
        Red() > 0.5 & Blue()  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError, match="made of parts, columns and numbers, got 'blue'"):
        Red() + "blue"  # type: ignore[operator]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_in_python_are_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Red() * value


def test_what_an_expression_knows_of_itself() -> None:
    made = proctor.reward(
        "shape('boxed') and exam - rank if task == 'a' and level != None else num_tokens / 2"
    )
    assert (made.bounds.low, made.bounds.high) == (-1, float("inf"))
    assert made.columns == ("task", "answer", "num_tokens")
    assert made.by_group


def test_explain_is_plain_data() -> None:
    told = reward("shape('boxed') and exam - len").explain()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["range"] == [None, 1]
    exam = told["parts"][1]
    assert (exam["part"], exam["round"], exam["runs"]) == ("exam", 2, 'where shape("boxed") passes')
    assert (exam["verifies"], exam["cost"], exam["columns"]) == (True, "seconds", ["answer"])
    assert [concern["weakness"] for concern in told["concerns"]] == ["dominance", "unbounded"]

"""Names that answers use: LaTeX commands, functions, spelled-out constants, joining words. Data only."""

from __future__ import annotations

# Commands whose argument is plain language.
TEXT_COMMANDS = frozenset(
    "text textbf textit textrm texttt textsf textsc textnormal textup textmd emph mbox hbox mathrm operatorname "
    "mathtt mathsf mathit textsuperscript".split()
)
# Commands that only dress up what follows.
TRANSPARENT = frozenset(
    "mathbf boldsymbol bm pmb mathcal mathfrak mathscr mathbb vec hat widehat overrightarrow boxed fbox underline "
    "displaystyle mathop mathord mathclose mathopen mathrel mathbin overbrace underbrace framebox Bbb bold cal".split()
)
ACCENTS = frozenset("bar overline tilde widetilde dot ddot check breve not".split())

FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth sech csch arcsinh arccosh "
    "arctanh log ln lg exp gcd lcm max min abs det arg deg dim ker sgn sign floor ceil Re Im".split()
)
FUNCTION_ALIASES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "tg": "tan", "ctg": "cot", "cotg": "cot", "cosec": "csc",
    "arctg": "arctan", "arcctg": "arccot", "sh": "sinh", "ch": "cosh", "th": "tanh", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "arsinh": "arcsinh", "arcosh": "arccosh", "artanh": "arctanh",
    "ceiling": "ceil",
}  # fmt: skip
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
).split()
# command or spelled-out name -> (kind, text) of its token
COMMANDS: dict[str, tuple[str, str]] = {
    **{name: ("symbol", name) for name in _GREEK},
    **{f"var{name}": ("symbol", name) for name in _GREEK},
    **{name: ("function", name) for name in FUNCTIONS},
    **{name: ("function", target) for name, target in FUNCTION_ALIASES.items()},
    **{name: ("structure", name) for name in ("frac", "sqrt", "surd", "binom", "pmod", "bmod", "mod", "overset", "underset", "stackrel", "root")},
    **dict.fromkeys(("dfrac", "tfrac", "cfrac", "nicefrac", "sfrac", "flatfrac"), ("structure", "frac")),
    **dict.fromkeys(("dbinom", "tbinom"), ("structure", "binom")),
    **dict.fromkeys(("choose",), ("op", "choose")),
    **dict.fromkeys(("over",), ("op", "over")),
    "pi": ("symbol", "pi"), "infty": ("symbol", "oo"), "infin": ("symbol", "oo"), "ell": ("symbol", "l"),
    "imath": ("symbol", "i"), "hbar": ("symbol", "hbar"), "emptyset": ("symbol", "emptyset"),
    "varnothing": ("symbol", "emptyset"), "partial": ("symbol", "partial"), "square": ("stop", "?"),
    **dict.fromkeys(("checkmark", "blacksquare", "qed", "Box", "qedsymbol"), ("stop", ".")),
    **dict.fromkeys(("cdot", "times", "ast", "star", "bullet"), ("op", "*")),
    **dict.fromkeys(("div",), ("op", "/")),
    "pm": ("op", "pm"), "mp": ("op", "mp"), "prime": ("op", "'"),
    **dict.fromkeys(("cup", "bigcup", "sqcup", "cupdot", "uplus", "lor", "vee"), ("op", "union")),
    **dict.fromkeys(("cap", "bigcap", "land", "wedge"), ("op", "intersection")),
    **dict.fromkeys(("setminus", "backslash", "smallsetminus"), ("op", "setminus")),
    **dict.fromkeys(("le", "leq", "leqslant", "leqq"), ("rel", "<=")),
    **dict.fromkeys(("ge", "geq", "geqslant", "geqq"), ("rel", ">=")),
    "lt": ("rel", "<"), "gt": ("rel", ">"), **dict.fromkeys(("ne", "neq"), ("rel", "!=")),
    **dict.fromkeys(("approx", "simeq", "cong", "sim", "doteq"), ("rel", "~")),
    "equiv": ("rel", "="), "in": ("rel", "in"), "notin": ("rel", "notin"), "colon": ("rel", ":"),
    **dict.fromkeys(("subset", "subseteq", "supset", "supseteq"), ("rel", "subset")),
    **dict.fromkeys(("to", "rightarrow", "Rightarrow", "implies", "mapsto", "longrightarrow"), ("rel", "->")),
    **dict.fromkeys(("mid", "vert", "lvert", "rvert"), ("bar", "|")),
    **dict.fromkeys(("Vert", "lVert", "rVert"), ("bar", "||")),
    "lbrace": ("open", "\\{"), "rbrace": ("close", "\\}"), "lbrack": ("open", "["), "rbrack": ("close", "]"),
    "langle": ("open", "("), "rangle": ("close", ")"), "lfloor": ("open", "floor"), "rfloor": ("close", "floor"),
    "lceil": ("open", "ceil"), "rceil": ("close", "ceil"), "lparen": ("open", "("), "rparen": ("close", ")"),
    **dict.fromkeys(("ldots", "dots", "cdots", "dotsc", "dotsb", "dotsm", "vdots", "ddots"), ("dots", "...")),
    **dict.fromkeys(("sum", "prod", "int", "iint", "iiint", "oint", "lim", "limsup", "liminf", "bigcup_", "sup", "inf"), ("big", "big")),
    "newline": ("sep", ";"), "angle": ("label", "angle"), "triangle": ("label", "triangle"), "therefore": ("label", "therefore"),
    "because": ("label", "because"), "measuredangle": ("label", "angle"), "perp": ("rel", "perp"), "parallel": ("rel", "parallel"),
    "forall": ("word", "for"), "exists": ("word", "exists"), "And": ("sep", "and"), "circ": ("op", "circ"),
    "quad": ("space", " "), "pounds": ("unit", "sterling"), "euro": ("unit", "euro"), "yen": ("unit", "yen"),
    "neg": ("op", "neg"), "lnot": ("op", "neg"), "mod": ("word", "mod"),
}  # fmt: skip
# Runs of letters that mean one thing outside of LaTeX too.
NAMED: dict[str, tuple[str, str]] = {
    **{name: COMMANDS[name] for name in (*_GREEK, "pi", "sqrt", "binom")},
    **{name: ("function", name) for name in FUNCTIONS},
    **{name: ("function", target) for name, target in FUNCTION_ALIASES.items() if len(name) > 2},
    **dict.fromkeys(("infinity", "Infinity", "oo", "inf", "infty"), ("symbol", "oo")),
    "cbrt": ("structure", "cbrt"), "Pi": ("symbol", "pi"), "PI": ("symbol", "pi"),
    "and": ("sep", "and"), "or": ("sep", "or"), "And": ("sep", "and"), "Or": ("sep", "or"), "OR": ("sep", "or"),
    "AND": ("sep", "and"), "union": ("op", "union"), "U": ("symbol", "U"), "times": ("op", "*"), "plus": ("op", "+"),
    "minus": ("op", "-"), "divided": ("word", "divided"), "equals": ("rel", "="), "per": ("op", "/"),
    "y": ("symbol", "y"), "und": ("sep", "and"), "et": ("sep", "and"), "ou": ("sep", "or"), "oder": ("sep", "or"),
}  # fmt: skip
SHORT_WORDS = frozenset(
    "a an the is are was be by of to on at as it its no not non for all any one two ten six odd day our we he she his "
    "her men man may can has had but out way who why how now new old only box car cat dog egg cup pen red yes nor "
    "if so up do did let set via than then that this with from when some each both none true false even".split()
)
_VOWELS = frozenset("aeiouyAEIOUY")


def is_word(run: str) -> bool:
    """Whether a run of letters outside of \\text{} is language rather than a product of variables."""
    if run.isupper():  # points: NO is a segment
        return False
    if run.lower() in SHORT_WORDS:
        return len(run) > 1
    if len(run) < 4:
        return False
    return not _VOWELS.isdisjoint(run[1:]) and run not in "abcdefghijklmnopqrstuvwxyz"

"""Names that answers use: LaTeX commands, functions, spelled-out constants, joining words."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a text. Tables of words read best as text."""
    return frozenset(text.split())


# Commands whose argument is plain language.
TEXT_COMMANDS = word_set(
    """text textbf textit textrm texttt textsf textsc textnormal textup textmd emph mbox hbox mathrm operatorname
    mathtt mathsf mathit textsuperscript"""
)
# Commands that only dress up what follows.
TRANSPARENT = word_set(
    """mathbf boldsymbol bm pmb mathcal mathfrak mathscr mathbb Bbb bold cal vec hat widehat overrightarrow boxed
    fbox framebox underline overbrace underbrace displaystyle mathop mathord mathclose mathopen mathrel mathbin"""
)
# Commands that may change what follows: a conjugate, a mean, a repeating decimal.
ACCENTS = word_set("bar overline tilde widetilde dot ddot")

_GREEK = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi
    psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"""
_FUNCTIONS = """sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth sech csch
    arcsinh arccosh arctanh log ln lg exp gcd lcm max min abs det arg deg dim ker sgn sign floor ceil Re Im"""
# kind and text of a token, then the commands for it.
_COMMAND_TABLE = r"""
symbol pi         | pi
symbol oo         | infty infin
symbol l          | ell
symbol T          | top intercal
symbol i          | imath
symbol hbar       | hbar
symbol emptyset   | emptyset varnothing
symbol partial    | partial
function arcsin   | asin
function arccos   | acos
function arctan   | atan arctg
function arccot   | arcctg
function tan      | tg
function cot      | ctg cotg
function csc      | cosec
function sinh     | sh
function cosh     | ch
function tanh     | th
function arcsinh  | asinh arsinh
function arccosh  | acosh arcosh
function arctanh  | atanh artanh
function ceil     | ceiling
structure frac    | frac dfrac tfrac cfrac nicefrac sfrac flatfrac
structure sqrt    | sqrt
structure surd    | surd
structure binom   | binom dbinom tbinom
structure pmod    | pmod
word mod          | mod bmod
op choose         | choose
op over           | over
op *              | cdot times ast star bullet
op /              | div
op pm             | pm
op mp             | mp
op '              | prime
op union          | cup bigcup sqcup cupdot uplus lor vee
op intersection   | cap bigcap land wedge
op setminus       | setminus backslash smallsetminus
op circ           | circ
rel <=            | le leq leqslant leqq
rel >=            | ge geq geqslant geqq
rel <             | lt
rel >             | gt
rel !=            | ne neq
rel =             | equiv
rel ~             | approx simeq cong sim doteq
rel in            | in
rel notin         | notin
rel :             | colon
rel subset        | subset subseteq supset supseteq
rel ->            | to rightarrow Rightarrow implies mapsto longrightarrow
rel perp          | perp
rel parallel      | parallel
bar |             | mid vert lvert rvert
bar ||            | Vert lVert rVert
open \{           | lbrace
close \}          | rbrace
open [            | lbrack
close ]           | rbrack
open (            | langle lparen
close )           | rangle rparen
open floor        | lfloor
close floor       | rfloor
open ceil         | lceil
close ceil        | rceil
dots ...          | ldots dots cdots dotsc dotsb dotsm vdots ddots
big big           | sum prod int iint iiint oint lim limsup liminf sup inf
sep ;             | newline
sep and           | And
label angle       | angle measuredangle
label triangle    | triangle
label therefore   | therefore
label because     | because
word for          | forall
word exists       | exists
stop ?            | square
stop .            | checkmark blacksquare qed Box qedsymbol
unit sterling     | pounds
unit euro         | euro
unit yen          | yen
"""
# Runs of letters that mean one thing outside of LaTeX too, besides Greek and functions.
_NAME_TABLE = """
symbol pi         | pi Pi PI
symbol oo         | infinity Infinity oo inf infty
function arcsin   | asin
function arccos   | acos
function arctan   | atan
structure sqrt    | sqrt
structure cbrt    | cbrt
structure binom   | binom
sep and           | and And AND und et
sep or            | or Or OR ou oder
op union          | union
op *              | times
op +              | plus
op -              | minus
op /              | per
rel =             | equals
"""


def _read_table(table: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for line in table.strip().splitlines():
        kind, text, _, *names = line.split(maxsplit=3)
        found |= dict.fromkeys(names[0].split(), (kind, text))
    return found


COMMANDS: dict[str, tuple[str, str]] = {
    **{name: ("symbol", name) for name in _GREEK.split()},
    **{f"var{name}": ("symbol", name) for name in _GREEK.split()},
    **{name: ("function", name) for name in _FUNCTIONS.split()},
    **_read_table(_COMMAND_TABLE),
}
NAMED: dict[str, tuple[str, str]] = {
    **{name: ("symbol", name) for name in _GREEK.split()},
    **{name: ("function", name) for name in _FUNCTIONS.split()},
    **_read_table(_NAME_TABLE),
}
_SHORT_WORDS = word_set(
    """a an the is are was be by of to on at as it its no not non for all any one two ten six odd day our we he she
    his her men man may can has had but out way who why how now new old only box car cat dog egg cup pen red yes
    nor if so up do did let set via than then that this with from when some each both none true false even"""
)
_VOWELS = frozenset("aeiouyAEIOUY")


def is_word(run: str) -> bool:
    """Whether a run of letters outside of \\text{} is language rather than a product of variables."""
    if run.isupper():  # points: NO is a segment
        return False
    if run.lower() in _SHORT_WORDS:
        return len(run) > 1
    if len(run) < 4:
        return False
    return not _VOWELS.isdisjoint(run[1:]) and run not in "abcdefghijklmnopqrstuvwxyz"

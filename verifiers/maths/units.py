"""Units of measure: what they are called, what they are worth, and what of.

A unit is a factor times powers of base dimensions, so that 10 cm equals 0.1 m and 60 km/h equals 1 km/min by
plain arithmetic, and cm^2 never equals cm^3. Currencies are dimensions of their own: rates change.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

Dimensions = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """What one of a unit is worth: `factor` times the product of base dimensions to their powers."""

    factor: Fraction
    dimensions: Dimensions


# name, factor, dimensions, spellings. Names that also are everyday words or variables need care: see AMBIGUOUS.
_TABLE = """
metre       1           m       | m meter meters metre metres
kilometre   1000        m       | km kms kilometer kilometers kilometre kilometres
centimetre  1/100       m       | cm cms centimeter centimeters centimetre centimetres
millimetre  1/1000      m       | mm mms millimeter millimeters millimetre millimetres
decimetre   1/10        m       | dm decimeter decimeters decimetre decimetres
micrometre  1/1000000   m       | um micrometer micrometers micron microns
nanometre   1/1000000000 m      | nm nanometer nanometers
inch        254/10000   m       | in inch inches
foot        3048/10000  m       | ft foot feet
yard        9144/10000  m       | yd yds yard yards
mile        1609344/1000 m      | mi mile miles
hectare     10000       m2      | ha hectare hectares
acre        40468564224/10000000 m2 | acre acres
litre       1/1000      m3      | l L liter liters litre litres
millilitre  1/1000000   m3      | ml mL milliliter milliliters millilitre millilitres cc
gram        1/1000      kg      | g gram grams gramme grammes gm gms
kilogram    1           kg      | kg kgs kilogram kilograms kilo kilos
milligram   1/1000000   kg      | mg milligram milligrams
tonne       1000        kg      | t tonne tonnes
ton         1000        kg      | ton tons
pound       45359237/100000000 kg | lb lbs pound pounds
ounce       45359237/1600000000 kg | oz ounce ounces
second      1           s       | s sec secs second seconds
millisecond 1/1000      s       | ms millisecond milliseconds
minute      60          s       | min mins minute minutes
hour        3600        s       | h hr hrs hour hours
day         86400       s       | d day days
week        604800      s       | wk week weeks
month       1           month   | month months
year        12          month   | yr yrs year years
mph         1609344/3600000 m/s | mph
kmh         1000/3600   m/s     | kph kmh kmph
hertz       1           /s      | Hz hertz
newton      1           kgm/s2  | N newton newtons
joule       1           kgm2/s2 | J joule joules
watt        1           kgm2/s3 | W watt watts
pascal      1           kg/ms2  | Pa pascal pascals
ampere      1           A       | A amp amps ampere amperes
volt        1           V       | V volt volts
ohm         1           V/A     | ohm ohms
kelvin      1           K       | K kelvin kelvins
celsius     1           celsius | celsius centigrade
fahrenheit  1           fahrenheit | fahrenheit
mole        1           mol     | mol mole moles
dollar      1           usd     | dollar dollars usd USD bucks
cent        1/100       usd     | cent cents
euro        1           eur     | euro euros eur EUR
sterling    1           gbp     | gbp GBP sterling quid
yuan        1           cny     | yuan rmb RMB renminbi
yen         1           jpy     | yen
rupee       1           inr     | rupee rupees Rs rs INR
radian      1           -       | rad rads radian radians
degree      0           -       | degree degrees deg
percent     1/100       -       | percent pct percentage
"""

_BASES = (
    "celsius",
    "fahrenheit",
    "month",
    "mol",
    "usd",
    "eur",
    "gbp",
    "cny",
    "jpy",
    "inr",
    "kg",
    "m",
    "s",
    "A",
    "V",
    "K",
)


def _dimensions(text: str) -> Dimensions:
    powers: dict[str, int] = {}
    for sign, part in zip((1, -1), text.split("/"), strict=False):
        while part and part != "-":
            base = next(base for base in _BASES if part.startswith(base))
            part = part[len(base) :]
            count, part = (int(part[0]), part[1:]) if part[:1].isdigit() else (1, part)
            powers[base] = powers.get(base, 0) + sign * count
    return tuple(sorted(powers.items()))


def _read_table() -> tuple[dict[str, Measure], dict[str, str]]:
    measures: dict[str, Measure] = {}
    names: dict[str, str] = {}
    for line in _TABLE.strip().splitlines():
        definition, _, spellings = line.partition("|")
        name, factor, dimensions = definition.split()
        measures[name] = Measure(Fraction(factor), _dimensions(dimensions))
        names |= dict.fromkeys(spellings.split(), name)
    return measures, names


MEASURES, NAMES = _read_table()
SIGNS = {"\\$": "dollar", "$": "dollar", "€": "euro", "£": "sterling", "¥": "yuan", "₹": "rupee", "¢": "cent",
         "\\pounds": "sterling", "\\euro": "euro", "\\yen": "yen", "\\%": "percent", "%": "percent"}  # fmt: skip
# Spellings that are a variable or a word unless they follow a number inside \text{...}.
AMBIGUOUS = frozenset(name for name in NAMES if len(name) == 1) | {"in", "min", "mi", "ha", "second", "cc"}
# Words before a unit that raise it: "square feet", "cubic metres".
RAISING = {"square": 2, "squared": 2, "sq": 2, "cubic": 3, "cubed": 3, "cu": 3}

"""The quality report as one HTML page that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from proctor.sft.quality import FILTERS, Quality

_BARS = 24


def write_page(quality: Quality, path: Path, *, title: str = "Demonstrations") -> None:
    """Writes the page. Row texts are escaped: they are other people's."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"])
    )
    page = environment.get_template("quality.html").render(
        title=title, quality=quality, filters=FILTERS, bars=histogram(quality.lengths)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def histogram(lengths: list[int] | tuple[int, ...]) -> list[tuple[int, int, float]]:
    """(from, count, height 0 to 1) of equal bins."""
    if not lengths:
        return []
    width = max(1, -(-(max(lengths) + 1) // _BARS))
    counts = [0] * (max(lengths) // width + 1)
    for length in lengths:
        counts[length // width] += 1
    most = max(counts)
    return [(place * width, count, count / most) for place, count in enumerate(counts)]

"""How figures are worked out and printed."""

from collections.abc import Sequence


def row(what: str, figure: str) -> None:
    """One line of a Markdown table, as soon as it is known."""
    print(f"| {what} | {figure} |", flush=True)


def ms(seconds: float) -> str:
    """In milliseconds."""
    return f"{1000 * seconds:.0f} ms"


def percentile(values: Sequence[float], percent: float) -> float:
    """Of sorted values, by the nearest rank."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]

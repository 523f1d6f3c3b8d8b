"""Virtual functions by their physical one and their numbers: `enp2s0f0#0,2-7`."""

import msgspec


class FunctionRange(msgspec.Struct, frozen=True, kw_only=True):
    """Some or all functions of one physical function."""

    owner: str
    """The physical function: the name of its network device, or its PCI address."""
    numbers: tuple[tuple[int, int], ...] = ()
    """First and last of each range; none: all functions, and the physical one itself."""

    @classmethod
    def parse(cls, text: str) -> "FunctionRange":
        """`owner`, or `owner#` with numbers and ranges between commas. Raises ValueError, worded for people."""
        owner, hash_, listed = text.partition("#")
        if not owner:
            raise ValueError(f"{text!r} names nothing before '#'")
        return cls(owner=owner, numbers=tuple(map(_range, listed.split(","))) if hash_ else ())

    def holds(self, owner: str, number: int | None) -> bool:
        """Whether a function of this number is among them; None: the physical function itself."""
        if owner != self.owner:
            return False
        return not self.numbers or (number is not None and any(low <= number <= high for low, high in self.numbers))


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    ends = (first, last if dash else first)
    if not all(end.isascii() and end.isdigit() for end in ends):
        raise ValueError(f"{text!r} is neither a number nor a range such as 2-7")
    low, high = map(int, ends)
    if low > high:
        raise ValueError(f"the range {text} ends before it begins")
    return low, high

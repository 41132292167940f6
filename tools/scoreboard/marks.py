"""Whether a row met what it promises."""


class Found(str):
    """What a row prints; `missed` names the marks that it missed."""

    missed = ()


def judged(options, told, counts, figures=()):
    """What a row found, beside its marks: pairs of a name and whether it was met.

    Times and sizes are `figures`: the short form runs beside other tests, on a busy machine, and judges none."""
    found = Found(told)
    marks = [*counts, *(() if options.short else figures)]
    found.missed = tuple(name for name, met in marks if not met)
    return found

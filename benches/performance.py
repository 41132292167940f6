"""Draws what grid.py measured, and writes its tables.

    python3 benches/performance.py FOLDER          # FOLDER/grid.md, cost-by-tokens.svg and cost-by-connections.svg there
    python3 benches/performance.py FOLDER --docs   # in docs/performance.md and docs/images/ too
"""

import argparse
import json
import re
from datetime import date
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
IMAGES = ROOT / "docs/images"
MODELS = {
    "minilm": "Transformer of MiniLM's size, 512 tokens",
    "fast": "Fast model, 256 code points",
}
# From few texts a call to many; each can be told from white.
COLOURS = ["#d1495b", "#e08a1e", "#3c8d53", "#2a6f97", "#4b2e83"]
INK, GRID = "#24292f", "#d8dee4"

matplotlib.rcParams.update(
    {
        # Text stays text, and nothing in the file changes unless a figure does.
        "svg.fonttype": "none",
        "svg.hashsalt": "tandem",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "axes.titlesize": 11,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
    }
)


def figure_of(number: float) -> str:
    """A number to three figures: the others are chance."""
    if number < 100:
        return f"{number:.2f}" if number < 10 else f"{number:.1f}"
    return f"{round(number, 3 - len(str(int(number)))):,.0f}"


def plain_ticks(axis, places: list[float]) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def one_two_five(least: float, most: float) -> list[float]:
    """Places for ticks on a logarithmic axis: powers of ten, and 2 and 5 times those where there are few."""
    wide = most / least > 300
    places = [step * 10.0**power for power in range(-3, 8) for step in ((1,) if wide else (1, 2, 5))]
    return [place for place in places if least * 0.7 <= place <= most * 1.4]


def draw_tokens(cells: list[dict], file: Path) -> None:
    models = [model for model in MODELS if any(cell["model"] == model for cell in cells)]
    drawing, panels = plt.subplots(1, len(models), figsize=(4.7 * len(models), 4.3), squeeze=False)
    counts = sorted({cell["texts"] for cell in cells})
    colour = dict(zip(counts, COLOURS * (1 + len(counts) // len(COLOURS)), strict=False))
    for panel, model in zip(panels[0], models, strict=True):
        of_model = [cell for cell in cells if cell["model"] == model]
        for count in counts:
            line = [cell for cell in of_model if cell["texts"] == count]
            line = sorted((cell["tokens"], cell["server_us"], cell["reference_us"]) for cell in line)
            if not line:
                continue
            tokens, server, reference = zip(*line, strict=True)
            panel.plot(tokens, server, color=colour[count], linewidth=1.8, marker="o", markersize=3.5)
            panel.plot(tokens, reference, color=colour[count], linewidth=1.4, linestyle=(0, (4, 2)))
        panel.set(xscale="log", yscale="log", title=MODELS[model], xlabel="tokens of a text")
        values = [cell[side] for cell in of_model for side in ("server_us", "reference_us")]
        plain_ticks(panel.xaxis, sorted({cell["tokens"] for cell in cells}))
        plain_ticks(panel.yaxis, one_two_five(min(values), max(values)))
    panels[0][0].set_ylabel("processor time of a text, µs")
    handles = [Line2D([], [], color=colour[count], linewidth=1.8, label=f"{count}") for count in counts]
    drawing.legend(handles=handles, title="texts a call", loc="lower left", ncols=len(counts), bbox_to_anchor=(0.06, 0))
    kinds = [("server", "-"), ("raw ONNX Runtime loop", (0, (4, 2)))]
    handles = [Line2D([], [], color=INK, linewidth=1.6, linestyle=style, label=name) for name, style in kinds]
    drawing.legend(handles=handles, loc="lower right", ncols=2, bbox_to_anchor=(0.98, 0.03))
    drawing.tight_layout(rect=(0, 0.13, 1, 1))
    save(drawing, file, "Processor time of a text over its tokens")


def draw_connections(found: list[dict], file: Path) -> None:
    drawing, (times, costs) = plt.subplots(1, 2, figsize=(9.4, 3.1))
    counts = [each["connections"] for each in found]
    lines = [("p99_ms", "99th percentile", COLOURS[0]), ("p50_ms", "median", COLOURS[3])]
    for key, name, colour in lines:
        line = [each[key] for each in found]
        times.plot(counts, line, color=colour, linewidth=1.8, marker="o", markersize=4, label=name)
    values = [each[key] for each in found for key, _, _ in lines]
    times.set(xscale="log", yscale="log", title="Latency of a call, ms", xlabel="connections")
    times.set_ylim(min(values) / 1.5, max(values) * 1.5)
    plain_ticks(times.yaxis, one_two_five(min(values) / 1.05, max(values) * 1.05))
    times.legend(loc="best")
    micros = [each["cpu_us_per_call"] for each in found]
    costs.plot(counts, micros, color=COLOURS[4], linewidth=1.8, marker="o", markersize=4)
    costs.set(xscale="log", title="Processor time of a call, µs", xlabel="connections", ylim=(0, max(micros) * 1.2))
    for panel in (times, costs):
        plain_ticks(panel.xaxis, counts)
    drawing.tight_layout(w_pad=3)
    save(drawing, file, "Latency and processor time of a call over connections")


def save(drawing, file: Path, title: str) -> None:
    drawing.savefig(file, format="svg", facecolor="white", metadata={"Date": None, "Creator": None, "Title": title})
    plt.close(drawing)
    # One line break at the end of each line and no blanks before it, as in every file here.
    lines = [line.rstrip() for line in file.read_text(encoding="utf-8").splitlines()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def cell_table(cells: list[dict], model: str) -> list[str]:
    of_model = {(cell["tokens"], cell["texts"]): cell for cell in cells if cell["model"] == model}
    if not of_model:
        return []
    widths, counts = (sorted({key[at] for key in of_model}) for at in (0, 1))
    lines = [f"**{MODELS[model]}**: µs a text of the server, of the raw loop, and the loop's by the server's", ""]
    lines.append("| tokens | " + " | ".join(f"{count} a call" for count in counts) + " |")
    lines.append("| ---: |" + " ---: |" * len(counts))
    for width in widths:
        shown = []
        for count in counts:
            cell = of_model.get((width, count))
            ours, theirs = (figure_of(cell[side]) if cell else "" for side in ("server_us", "reference_us"))
            shown.append(f"{ours}, {theirs}, **{cell['ratio']:.2f}**" if cell else "not measured")
        lines.append(f"| {width} | " + " | ".join(shown) + " |")
    return [*lines, ""]


def connection_table(found: dict) -> list[str]:
    if not found["connections"]:
        return []
    lines = [f"**Connections**: the fast model, {found['rate']:,.0f} calls a second of one text", ""]
    lines.append("| connections | processor µs a call | p50, ms | p99, ms | of which sent late, p99, ms | failed |")
    lines.append("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for each in found["connections"]:
        times = " | ".join(f"{each[key]:.2f}" for key in ("p50_ms", "p99_ms", "late_p99_ms"))
        lines.append(f"| {each['connections']:,} | {each['cpu_us_per_call']:.1f} | {times} | {each['failed']} |")
    return [*lines, ""]


def tables(found: dict) -> list[str]:
    machine, day = found["machine"], date.fromisoformat(found["date"])
    busy = f"{machine['load']:.1f} running or waiting threads as it began"
    lines = [
        f"Measured on {day.day} {day:%B %Y}: {machine['cores']} cores of {machine['processor']}, {busy},",
        f"{found['rounds']} rounds (one where a call takes seconds), {found['seconds'] / 60:.0f} minutes in all.",
        "",
    ]
    for model in MODELS:
        lines += cell_table(found["cells"], model)
    lines += connection_table(found)
    if failed := [f"{cell['model']}, {cell['tokens']} × {cell['texts']}" for cell in found["cells"] if cell["failed"]]:
        lines += [f"Calls failed at: {'; '.join(failed)}.", ""]
    if found["left_out"]:
        lines += [f"Left out, since they failed or the time was over: {'; '.join(found['left_out'])}.", ""]
    return lines


def write_page(lines: list[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    between = re.compile(r"(<!-- grid, by [^>]*-->\n).*(<!-- end of grid -->)", re.DOTALL)
    filled, count = between.subn(lambda match: match[1] + "\n" + "\n".join(lines) + "\n\n" + match[2], page)
    assert count == 1, f"{PAGE} has no place for the tables"
    PAGE.write_text(filled, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", action="store_true")
    arguments = parser.parse_args()
    found = json.loads((arguments.folder / "grid.json").read_text(encoding="utf-8"))
    lines = tables(found)[:-1]
    (arguments.folder / "grid.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    for images in [arguments.folder, *([IMAGES] if arguments.docs else [])]:
        if found["cells"]:
            draw_tokens(found["cells"], images / "cost-by-tokens.svg")
        if found["connections"]:
            draw_connections(found["connections"], images / "cost-by-connections.svg")
    if arguments.docs:
        write_page(lines)


if __name__ == "__main__":
    main()

"""Results for people, and for programs."""

import json


def heading(facts):
    return (
        f"{facts['when']}; {facts['processors']} processors ({facts['processor']}), {facts['memory']} of memory, "
        f"kernel {facts['kernel']}, load {facts['load']:.1f} at the start; {facts['postgres']}; teamscale {facts['teamscale']}\n"
        "fsync = off for all, unless a table says otherwise.\n"
        "Each line: median (first to third quartile) of one transaction's time, or one run's; then of its ratio to the "
        "first line's run of the same round."
    )


def table(result):
    settings = ", ".join(f"{name} = {value}" for name, value in result["settings"].items())
    title = result["work"] + (f" ({settings})" if settings else "")
    lines = [f"\n| {title} | {result['unit'].replace('us', 'µs')} | ratio |", "|---|---:|---:|"]
    for contender in result["contenders"]:
        lines.append(
            f"| {contender['name']} | {shown(contender['figure'], '.0f')} | {shown(contender['ratio'], '.2f')} |"
        )
    return "\n".join(lines)


def shown(spread, form):
    return f"{spread['median']:{form}} ({spread['low']:{form}}–{spread['high']:{form}})"


def write(file, facts, results):
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")

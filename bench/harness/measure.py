"""Interleaved runs: a disturbance of the machine meets all contenders alike."""

import statistics


def measure(laboratory, work, rounds, seconds):
    """Each round runs every contender once, beginning with another one each time."""
    contenders = work.contenders
    runs = {contender.name: [] for contender in contenders}
    laboratory.configure(work.settings)
    for contender in contenders:
        contender.figure(seconds)  # caches fill, connections and plans are tried
    for number in range(min(rounds, work.most_rounds)):
        first = number % len(contenders)
        for contender in contenders[first:] + contenders[:first]:
            laboratory.settle()
            runs[contender.name].append(contender.figure(seconds))
    laboratory.reset(work.settings)
    base = runs[contenders[0].name]
    return {
        "work": work.title,
        "settings": work.settings,
        "unit": contenders[0].unit,
        "contenders": [
            {
                "name": contender.name,
                "runs": runs[contender.name],
                "figure": spread(runs[contender.name]),
                # Of neighbours in time: what slowed a whole round down cancels out.
                "ratio": spread([mine / other for mine, other in zip(runs[contender.name], base)]),
            }
            for contender in contenders
        ],
    }


def spread(values):
    """Median and quartiles."""
    if len(values) < 2:
        return {"median": values[0], "low": values[0], "high": values[0]}
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": statistics.median(values), "low": low, "high": high}

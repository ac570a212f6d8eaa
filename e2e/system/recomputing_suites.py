"""What docs/ANALYSIS.md tells of a whole suite, from an export alone: growth, a forecast, a plan. `recomputing` has what it tells of files."""

import itertools
import math
import random
import statistics

from recomputing import MIB, is_shared

# Growth from file to file.


def theil_sen(points):
    """The median of the slopes of all pairs, with Sen's interval of 90 %."""
    points = points[:: max(math.ceil(len(points) / 512), 1)]
    slopes = sorted((y - x_y[1]) / (x - x_y[0]) for at, x_y in enumerate(points) for x, y in points[at + 1 :] if x > x_y[0])
    n, pairs = len(points), len(slopes)
    off = 1.644854 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low, high = math.floor((pairs - off) / 2), math.ceil((pairs + off) / 2)
    # Places count from 1; the upper one is further out by one.
    return middle(slopes), slopes[min(max(low - 1, 0), pairs - 1)], slopes[min(max(high, 0), pairs - 1)]


def middle(values):
    values = sorted(values)
    return (values[len(values) // 2] + values[(len(values) - 1) // 2]) / 2


def trend(values):
    """Kendall's S over its standard deviation, with ties and continuity."""
    score = sum((later > value) - (later < value) for value, later in itertools.combinations(values, 2))

    def term(n):
        return n * (n - 1) * (2 * n + 5)

    ties = sum(term(len(list(same))) for _, same in itertools.groupby(sorted(values)))
    variance = (term(len(values)) - ties) / 18
    return (score - math.copysign(1, score)) / math.sqrt(variance) if variance > 0 and score else 0.0


def calm(values):
    return [values[0]] + [sorted(three)[1] for three in zip(values, values[1:], values[2:])] + [values[-1]]


def course_of(values):
    """What memory did, what it grew by, and the steps."""
    smooth = calm(values)
    grown = smooth[-1] - smooth[0]
    changes = [after - before for before, after in zip(smooth, smooth[1:])]
    usual = middle(changes)
    spread = 1.482602 * middle([abs(change - usual) for change in changes])
    steps = [(at, change) for at, change in enumerate(changes, 1) if change - usual > max(6 * spread, 0.1 * grown, 2 * MIB)]
    are_few = 0 < len(steps) <= 3 and abs(grown - sum(change for _, change in steps)) <= 0.2 * grown
    width = min(max(int(len(values) * 0.1), 3), len(values))
    half_way = middle(values[(len(values) - width) // 2 :][:width])
    slope = theil_sen(list(enumerate(values)))[0] * (len(values) - 1)
    if grown < 4 * MIB or not (are_few or steps or trend(values) >= 2.576):
        return "level", grown, []
    if are_few:
        return ("levels_off", grown, []) if all(at <= len(values) * 0.25 for at, _ in steps) else ("steps", grown, steps)
    if smooth[-1] - half_way < max(0.25 * (half_way - smooth[0]), 0):
        return "levels_off", grown, []
    if steps and slope < 0.5 * grown:
        return "steps", grown, steps
    return "steady", grown, []


def growth(visits, limits):
    """The growth of a session from its visits."""
    workers = {}
    for visit in visits:
        if visit["ended_us"] is not None:
            workers.setdefault(visit["process"], []).append(visit)
    judged, slopes, minutes = [], [], []
    for own in workers.values():
        if len(own) < 6:
            continue
        others, values = 0, []
        for visit in own:
            others += visit["late_import_bytes"] + visit["shared_fixture_bytes"]
            values.append(float(visit["end_bytes"] - others))
        judged.append((own, course_of(values)))
        slopes.append([figure * len(own) for figure in theil_sen(list(enumerate(values)))])
        minutes.append(theil_sen([(visit["ended_us"] / 60e6, value) for visit, value in zip(own, values)]))
    if not judged or sum(len(own) for own, _ in judged) < 0.5 * sum(map(len, workers.values())):
        return None
    files = len({visit["path"] for own, _ in judged for visit in own})
    per_file = [figure / files for figure in together(slopes)]
    per_minute = together(minutes)
    grown = {name: sum(max(course[1], 0) for _, course in judged if course[0] == name) for name in ("levels_off", "steps", "steady")}
    whole = sum(grown.values())
    if whole <= 0:
        course = "level"
    elif grown["steady"] >= 0.5 * whole:
        course = "steady"
    else:
        course = "steps" if grown["steps"] >= grown["levels_off"] else "levels_off"
    found = {"course": course, "files": files, "grown_bytes": int(sum(course[1] for _, course in judged))}
    found.update(per_file_bytes=span(per_file), per_minute_bytes=span(per_minute), room=None)
    left = [(limit["limit_bytes"] - limit["worst_used_bytes"], limit["kind"]) for limit in limits]
    if course == "steady" and left and min(left)[0] > 0 < per_file[0]:
        bytes_, kind = min(left, key=lambda it: it[0])
        low, high = bytes_ / per_file[2], bytes_ / max(per_file[1], per_file[0] / 1e6)
        found["room"] = {"kind": kind, "bytes": bytes_, "files": {"value": int(bytes_ / per_file[0]), "low": int(low), "high": int(min(high, 1e6))}}
    return found


def together(figures):
    """Workers' figures add up, the sides of their intervals as squares."""
    value = sum(figure[0] for figure in figures)
    low = math.sqrt(sum((figure[0] - figure[1]) ** 2 for figure in figures))
    return value, value - low, value + math.sqrt(sum((figure[2] - figure[0]) ** 2 for figure in figures))


def span(figures):
    return dict(zip(("value", "low", "high"), map(int, figures)))


# What memory would have come to.


def steps_of(export, session):
    """Files in the order in which they ended, with what workers held before and after, and how high the job's curve went; and the files to come."""
    left = {row["path"]: row["tests"] for row in export["collected"] if row["session"] == session and row["path"]}
    visits = [visit for visit in export["visits"] if visit["session"] == session and visit["ended_us"] is not None]
    visits.sort(key=lambda visit: (visit["ended_us"], visit["process"]))
    [tree] = [one["samples"] for one in export["series"] if one["metric"] == "tree"]
    gone = sorted((row["ended_us"], row["id"]) for row in export["processes"] if row["ended_us"] is not None)
    held, before, peak, is_first, steps = {}, 0, 0, False, []
    from_us = visits[0]["began_us"] if visits else 0
    for visit in visits:
        while gone and gone[0][0] < visit["ended_us"]:
            before -= held.pop(gone.pop(0)[1], 0)
        peak = max([peak] + [bytes_ for t_us, bytes_ in tree if from_us <= t_us <= visit["ended_us"]])
        from_us = visit["ended_us"] + 1
        if visit["process"] not in held:
            before, is_first = before + visit["start_bytes"], True
        held[visit["process"]] = visit["end_bytes"]
        if len(held) == 1:
            peak = max(peak, visit["tree_peak_bytes"])
        if visit["path"] in left:
            was = left[visit["path"]]
            left[visit["path"]] = max(was - visit["tests"], 0)
            # What ran once more has ended once; of what is not over nothing is known yet.
            if not was or left[visit["path"]]:
                continue
        now = sum(held.values())
        steps.append({"retained": now - before, "above": peak - max(before, now), "is_first": is_first})
        before, peak, is_first = now, 0, False
    return steps, [path for path, tests in left.items() if tests], sum(held.values())


def blocks(pairs, chance):
    """Runs of neighbours, as many as the square root of their number, from anywhere, round and round."""
    length = max(round(math.sqrt(len(pairs))), 1)
    while True:
        at = chance.randrange(len(pairs))
        for offset in range(length):
            yield pairs[(at + offset) % len(pairs)]


def anew(pairs, chance):
    """What was seen, drawn anew; what it retains made wider about its mean."""
    drawn = list(itertools.islice(blocks(pairs, chance), len(pairs)))
    mean = statistics.fmean(retained for retained, _ in drawn)
    wider = math.sqrt((len(drawn) + 1) / max(len(drawn) - 1, 1))
    return [(mean + (retained - mean) * wider, above) for retained, above in drawn]


def settled(pairs):
    """From which file on growth may have ended, and how likely that is."""
    held = list(itertools.accumulate([0.0] + [retained for retained, _ in pairs]))
    smooth = calm(held)
    grown = [after - before for before, after in zip(smooth, smooth[1:])]
    least = max(0.25 * statistics.fmean(grown), 2 * MIB)
    grew = [at for at, bytes_ in enumerate(grown) if bytes_ > least]
    if not grew or len(grown) - (grew[-1] + 1) < 2:
        return None, 0.0
    from_ = grew[-1] + 1
    odds = math.prod((len(grown) - at) / (from_ - at) for at in range(len(grew))) / len(grown)
    return from_, odds / (1 + odds)


def forecast(export, session, limits, draws=3000):
    """Files that ended, and all; the peaks that the draws come to, in order; in how many of a hundred each limit is crossed.

    For one process without a job before. Chance is another than the server's, so the figures are the same but for chance.
    """
    chance = random.Random(1)
    steps, ahead, held_now = steps_of(export, session)
    pairs = [(float(step["retained"]), float(step["above"])) for step in steps if not step["is_first"]]
    if not ahead or len(pairs) < 6:
        return None
    levels = list(itertools.accumulate([0.0] + [retained for retained, _ in pairs]))
    half = len(pairs) // 2 if course_of([float(int(level)) for level in levels])[0] == "levels_off" else 0
    ended, chance_ended = settled(pairs)
    peaks, crossed = [], [0] * len(limits)
    for _ in range(draws):
        warm = ended if ended is not None and chance.random() < chance_ended else half
        late = anew(pairs[warm:], chance)
        highs = anew(pairs, chance) if warm else late
        heights = sorted(above for _, above in highs)
        count = max(math.ceil(len(heights) * 0.1), 2)
        from_ = heights[-count - 1] if len(heights) > count else math.inf
        excess = statistics.fmean(height - from_ for height in heights[-count:]) * math.exp(chance.gauss(0, 1)) if from_ < math.inf else 0.0
        retains, rises = blocks(late, chance), blocks(highs, chance) if warm else None
        held, peak = float(held_now), float(export["report"]["peak_bytes"])
        for _ in ahead:
            retained, above = next(retains)
            if rises is not None:
                above = next(rises)[1]
            if above > from_:
                # A generalised Pareto distribution of shape 0.5 with this mean.
                above = from_ + excess * ((1 - chance.random()) ** -0.5 - 1)
            after = max(held + retained, 0)
            peak = max(peak, max(held, after) + above)
            held = after
        peaks.append(peak)
        for at, (limit_bytes, beside_bytes) in enumerate(limits):
            crossed[at] += peak + beside_bytes > limit_bytes
    return len(steps), len(steps) + len(ahead), sorted(peaks), [100 * count / draws for count in crossed]


# A plan.


def planned(export, session):
    """What a plan knows of a suite that ran in one session: the base, what a set-up needs beside it, and of each file spike, retained and duration."""
    files = [row for row in export["files"] if row["session"] == session and row["visits"]]
    first = min(files, key=lambda row: row["started_us"])
    shared, set_up = 0, 0
    for row in export["fixtures"]:
        # Packages one inside another are not told apart here: there are none.
        if row["session"] == session and is_shared(row["scope"], row["base"]):
            each = max(row["setup_bytes"] // max(row["setups"], 1), 0)
            shared += each + row["children_bytes"]
            set_up = max(set_up, row["spike_bytes"] - each)
    late = {}
    for row in export["files"]:
        for worker in row["workers"]:
            late[worker["process"]] = late.get(worker["process"], 0) + max(worker["late_import_bytes"], 0)
    base = first["start_bytes"] + shared + max(late.values()) + first["children_start_bytes"]
    suite, given = [], []
    for at, row in enumerate(files):
        left = [max(worker["retained_bytes"], 0) + max(worker["children_retained_bytes"], 0) for worker in row["workers"]]
        parts = [max(worker["tree_spike_bytes"], worker["spike_bytes"]) + sum(left) - own for worker, own in zip(row["workers"], left) if worker["visits"]]
        spike = max(parts + [row["tree_spike_bytes"], row["spike_bytes"]])
        # What went with the last file of a process others had set up; what it gave back above the level before the first file others had left.
        released = min([0] + [worker["shared_fixture_bytes"] for worker in row["workers"]])
        below = max(first["start_bytes"] - (row["end_bytes"] - released), 0)
        own = max(row["retained_bytes"], -below)
        given.append((at, own - row["retained_bytes"]))
        suite.append({"path": row["path"], "spike": spike + given[-1][1], "retained": own, "duration": row["duration_us"]})
        suite[-1]["retained"] += max(row["children_retained_bytes"], 0)
    if sum(bytes_ for _, bytes_ in given) > 0.2 * sum(max(file["retained"], 0) for file in suite):
        for at, bytes_ in given:
            for file in reversed(suite[:at]):
                part = min(max(file["retained"], 0), bytes_)
                file["spike"] = max(file["spike"], file["retained"])
                file["retained"] -= part
                bytes_ -= part
    return base, set_up, {file["path"]: file for file in suite}


def peak_in_order(base, set_up, files):
    level, peak = base, base + max(set_up, 0)
    for file in files:
        peak = max(peak, level + max(file["spike"], file["retained"], 0))
        level += file["retained"]
    return peak

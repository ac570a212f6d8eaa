"""The figures of a job from its export alone, in plain Python, by the words of docs/ANALYSIS.md and pytest-plugin/FORMAT.md.

Nothing here asks a server or knows the recorder's code: it is what a reader of these pages would write.
"""

import bisect
import math

MIB = 1 << 20


def outlives_files(scope):
    return scope in ("session", "package")


def is_shared(scope, base):
    """Whether any file may be the first to ask for a fixture: no test file defines it."""
    return outlives_files(scope) and not base.split("::")[0].endswith(".py")


# What test files took: a walk along the marks of a process.


class Visit:
    def __init__(self, mark, session):
        self.path, self.session, self.process, self.worker = mark["path"], session, mark["process"], mark["worker"]
        self.began_us, self.ended_us = mark["t_us"], None
        self.start_bytes = self.end_bytes = self.peak_bytes = mark["rss_bytes"]
        self.spike_bytes = self.late_import_bytes = self.shared_fixture_bytes = self.fixture_bytes = self.between_bytes = 0
        self.tests = self.failed = 0

    def above(self, bytes_):
        return bytes_ - self.start_bytes - self.late_import_bytes - self.shared_fixture_bytes

    def see(self, peak_bytes, end_bytes, is_of_others=False):
        self.peak_bytes, self.end_bytes = max(self.peak_bytes, peak_bytes), end_bytes
        if not is_of_others:
            self.spike_bytes = max(self.spike_bytes, self.above(peak_bytes))

    @property
    def retained_bytes(self):
        return self.above(self.end_bytes)


class Fixture:
    def __init__(self, mark):
        self.scope, self.base, self.held_bytes = mark["scope"], mark["base"], 0


def without_gone(marks):
    """An import of a module that did not stay counts as never marked; its readings stay."""
    gone, imports, open_module = set(), {}, None
    for at, mark in enumerate(marks):
        if mark["mark"] == "mb":
            imports.setdefault(mark["name"], []).append([at])
            open_module = mark["name"]
        elif mark["mark"] == "me" and open_module is not None:
            imports[open_module][-1].append(at)
            open_module = None
        elif mark["mark"] == "mg" and imports.get(mark["name"]):
            gone.update(imports[mark["name"]].pop())
    return [dict(mark, mark="mg") if at in gone else mark for at, mark in enumerate(marks)]


def walk(marks, session, samples=()):
    """Visits of one process and what imports of test files took, from its marks in order of time and, where no peak is known, its samples of RSS."""
    visits, stack, fixtures, torn_down, tail, open_visit, before = [], [], {}, [], None, False, None
    imported = {}
    marks = without_gone(marks)

    def open_test():
        return ("test", None) in stack

    def close_test(mark, outcome=None):
        nonlocal tail
        if not open_test():
            return
        del stack[stack.index(("test", None)) :]
        visits[-1].tests += 1
        visits[-1].failed += outcome in ("failed", "error")
        visits[-1].ended_us, tail = mark["t_us"], mark["rss_bytes"]

    def pop_to(frame):
        if frame in stack:
            del stack[stack.index(frame) :]
            return True
        return False

    def charge_fixture(change, shared):
        if open_test():
            visit = visits[-1]
            if shared:
                visit.shared_fixture_bytes += change
            else:
                visit.fixture_bytes += change

    def interval(previous, mark):
        nonlocal tail
        ends = max(previous["rss_bytes"], mark["rss_bytes"])
        inside = mark["peak_bytes"]
        if inside is None:
            inside = max((rss for t_us, rss in samples if previous["t_us"] <= t_us <= mark["t_us"]), default=ends)
        peak = max(inside, ends)
        kinds = [kind for kind, _ in stack]
        is_of_others = "module" in kinds or any(
            kind == "set-up" and is_shared(of.scope, of.base) or kind == "teardown" and outlives_files(of.scope) for kind, of in stack
        )
        if open_visit and "diagnosis" not in kinds:
            if open_test():
                visits[-1].see(peak, mark["rss_bytes"], is_of_others)
            else:
                tail = max(tail, peak)
        change = mark["rss_bytes"] - previous["rss_bytes"]
        kind, of = stack[-1] if stack else (None, None)
        if kind == "import":
            imported[of] = imported.get(of, 0) + change
        elif kind == "module" and visits:
            visits[-1].late_import_bytes += change
        elif kind == "set-up":
            of.held_bytes += change
            charge_fixture(change, is_shared(of.scope, of.base))
        elif kind == "teardown":
            of.held_bytes += change
            charge_fixture(change, outlives_files(of.scope))
        elif kind == "test":
            # What goes behind the teardown of fixtures is given back by these, up to what they held, the largest first.
            left = max(-change, 0)
            for fixture in sorted(torn_down, key=lambda it: -it.held_bytes):
                part = min(left, max(fixture.held_bytes, 0))
                fixture.held_bytes -= part
                left -= part
                charge_fixture(-part, outlives_files(fixture.scope))

    for mark in marks:
        if before is not None:
            interval(before, mark)
        before, kind = mark, mark["mark"]
        if kind == "sb":
            close_test(mark)
            stack.clear()
            open_visit = False
        elif kind == "ib":
            imported.setdefault(mark["path"], 0)
            stack.append(("import", mark["path"]))
        elif kind == "ie" and any(frame[0] == "import" for frame in stack):
            del stack[max(at for at, frame in enumerate(stack) if frame[0] == "import") :]
        elif kind == "mb" and open_test():
            stack.append(("module", None))
        elif kind == "me" and ("module", None) in stack:
            del stack[max(at for at, frame in enumerate(stack) if frame[0] == "module") :]
        elif kind == "tb":
            close_test(mark)
            pop_to(("diagnosis", None))
            if open_visit and visits[-1].path == mark["path"]:
                visit = visits[-1]
                visit.between_bytes += mark["rss_bytes"] - visit.end_bytes
                visit.see(max(tail, mark["rss_bytes"]), mark["rss_bytes"])
            else:
                visits.append(Visit(mark, session))
            open_visit, tail = True, 0
            torn_down.clear()
            stack.append(("test", None))
        elif kind == "tp" and open_test():
            del stack[stack.index(("test", None)) + 1 :]
        elif kind == "te":
            close_test(mark, mark["outcome"])
        elif kind == "fb":
            fixtures[mark["fixture"]] = Fixture(mark)
            stack.append(("set-up", fixtures[mark["fixture"]]))
        elif kind == "fe" and mark["fixture"] in fixtures:
            pop_to(("set-up", fixtures[mark["fixture"]]))
        elif kind == "rb" and mark["fixture"] in fixtures:
            stack.append(("teardown", fixtures[mark["fixture"]]))
        elif kind == "re" and mark["fixture"] in fixtures:
            if pop_to(("teardown", fixtures[mark["fixture"]])):
                torn_down.append(fixtures[mark["fixture"]])
        elif kind in ("se", "xx"):
            close_test(mark)
            open_visit = False
            if kind == "xx":
                stack.clear()
        elif kind == "db":
            close_test(mark)
            stack.append(("diagnosis", None))
        elif kind == "de":
            pop_to(("diagnosis", None))
    after = [rss for t_us, rss in samples if before is not None and t_us >= before["t_us"]]
    if open_test():
        # Its process was gone in the middle of it: samples tell the rest.
        if after:
            is_of_others = any(kind in ("module", "set-up", "teardown") for kind, _ in stack)
            visits[-1].see(max(after + [before["rss_bytes"]]), samples[-1][1], is_of_others)
        visits[-1].ended_us = None
        visits[-1].tests += 1
    return visits, imported


# What descendants held: the samples.


class Memory:
    """What each process held at each tick, pages that processes share counted once as far as known."""

    def __init__(self, export):
        self.processes = {row["id"]: row for row in export["processes"] if row["role"] != "other"}
        series = {(one["process"], one["metric"]): one["samples"] for one in export["series"] if one["process"]}
        self.rss = {id_: series.get((id_, "rss"), []) for id_ in self.processes}
        self.ticks = sorted({t_us for samples in self.rss.values() for t_us, _ in samples})
        self.parents = {id_: self.parent_of(row) for id_, row in self.processes.items()}
        self.own, self.beside, self.own_from_us, self.forks = {}, {}, {}, set()
        for id_, samples in self.rss.items():
            readings = self.readings_of_shared(samples, series.get((id_, "pss"), []))
            own_from_us, shared = self.shared(id_, samples, readings)
            self.own[id_] = {t_us: rss - part for (t_us, rss), part in zip(samples, shared)}
            self.own_from_us[id_] = own_from_us
            if samples and own_from_us == math.inf:
                self.forks.add(id_)
            least = min((part for t_us, part in readings if t_us >= own_from_us), default=0)
            copy, _ = self.copy_of_parent(id_, samples)
            # What it has beside its parent.
            self.beside[id_] = {}
            for (t_us, rss), part in zip(samples, shared):
                has_less = least if t_us >= own_from_us else min(2 * part, copy)
                self.beside[id_][t_us] = max(rss - has_less, 0)

    def parent_of(self, row):
        # A start is told in hundredths of a second.
        before = [it for it in self.processes.values() if it["pid"] == row["parent_pid"] and it["started_us"] < row["started_us"] + 10_000]
        return max(before, key=lambda it: it["started_us"])["id"] if before else None

    def copy_of_parent(self, id_, samples):
        """Bytes of the copy that it began as, and the RSS up to which it may be that still soon after."""
        parent = self.parents[id_]
        beside = dict(self.rss[parent]).get(samples[0][0]) if parent and samples else None
        if beside is None:
            return 0, 0
        first = samples[0][1]
        same_command = self.processes[id_]["command"] == self.processes[parent]["command"]
        may_be_fork = self.processes[id_]["as_large_as_parent"] is not False
        is_copy = first >= 0.5 * beside if same_command else may_be_fork and abs(first / max(beside, 1) - 1) <= 0.02
        copy = min(first, beside) if is_copy else 0
        return copy, math.inf if same_command else 1.02 * copy

    def readings_of_shared(self, samples, readings):
        def rss_at(t_us):
            return min(samples, key=lambda sample: abs(sample[0] - t_us))[1] if samples else 0

        return [(t_us, max(rss_at(t_us) - pss, 0)) for t_us, pss in readings]

    def shared(self, id_, samples, known):
        """Since when it was no copy of its parent, and what it shares at each sample."""
        copy, most = self.copy_of_parent(id_, samples)
        read_us = known[0][0] if known and copy else math.inf
        fresh_us = samples[0][0] + 200_000 if samples else 0
        own_from_us = next((t_us for t_us, rss in samples if t_us < read_us and (copy == 0 or rss < 0.9 * copy or (t_us <= fresh_us and rss > most))), math.inf)
        parts = []
        for t_us, rss in samples:
            before = [bytes_ for at, bytes_ in known if at <= t_us]
            if before:
                part = before[-1]
            elif copy:
                part = 0 if t_us >= own_from_us else copy
            else:
                part = known[0][1] if known else 0
            parts.append(min(max(part, 0), rss))
        return own_from_us, parts

    def tree(self):
        """The job's curve: all together, and never less than the largest alone."""
        sums, largest = dict.fromkeys(self.ticks, 0), dict.fromkeys(self.ticks, 0)
        for id_, samples in self.rss.items():
            for t_us, rss in samples:
                sums[t_us] += self.own[id_][t_us]
                largest[t_us] = max(largest[t_us], rss)
        return [[t_us, max(sums[t_us], largest[t_us])] for t_us in self.ticks]

    def descendants(self, id_):
        below = [child for child, parent in self.parents.items() if parent == id_]
        return below + [deeper for child in below for deeper in self.descendants(child)]

    def branches(self, id_):
        """Each child with all below it: what these held at the ticks at which something of them was there."""
        for child, parent in self.parents.items():
            if parent == id_:
                held = {}
                for one in [child] + self.descendants(child):
                    has_forks = any(parent == one and of in self.forks for of, parent in self.parents.items())
                    whole = {t_us: rss for t_us, rss in self.rss[one] if has_forks and t_us >= self.own_from_us[one]}
                    for t_us, bytes_ in {**self.beside[one], **whole}.items():
                        held[t_us] = held.get(t_us, 0) + bytes_
                yield child, held

    def held_at(self, held, t_us):
        """At a tick; who was missed there, and seen before and after, held what it did before."""
        if t_us in held:
            return held[t_us]
        before, after = [at for at in held if at < t_us], [at for at in held if at > t_us]
        return held[max(before)] if before and after else None

    def around(self, t_us):
        after = bisect.bisect_left(self.ticks, t_us)
        before = self.ticks[after - 1] if after else None
        return before, self.ticks[after] if after < len(self.ticks) else None

    def left_at(self, child, held, t_us):
        """What of it outlived a moment: as at the last tick before."""
        ended_us = self.processes[child]["ended_us"]
        before, _ = self.around(t_us)
        if (ended_us is not None and ended_us <= t_us + 30_000) or before is None:
            return 0
        return self.held_at(held, before) or 0

    def branch_at(self, child, held, t_us):
        """At a moment: the less of the last tick before and the first one after."""
        before, after = self.around(t_us)
        first = self.held_at(held, before) if before is not None else None
        if first is None:
            return 0
        if after is None:
            return self.left_at(child, held, t_us)
        then = self.held_at(held, after)
        return min(then, first) if then is not None else 0

    def of_visit(self, visit, last_visit, set_ups):
        """`children_start_bytes`, `children_retained_bytes` and `tree_spike_bytes` of a visit; `set_ups`: when those of shared fixtures began and ended."""
        samples = self.rss[visit.process]
        began_us, ended_us = visit.began_us, visit.ended_us
        until_us = samples[-1][0] if ended_us is None else ended_us
        is_last = ended_us is not None and visit is last_visit
        start_bytes = retained_bytes = 0
        above = {}
        for child, held in self.branches(visit.process):
            started_us = self.processes[child]["started_us"]
            is_of_fixture = any(from_us - 10_000 <= started_us and started_us + 10_000 <= to_us for from_us, to_us in set_ups)
            start = self.branch_at(child, held, began_us)
            end = self.left_at(child, held, until_us) if is_last else self.branch_at(child, held, until_us)
            start_bytes += start
            if not is_of_fixture or (start > 0 and end > 0):
                retained_bytes += end - start
            if not is_of_fixture or start > 0:
                for t_us, bytes_ in held.items():
                    above[t_us] = above.get(t_us, 0) + max(bytes_ - start, 0)
        together = [rss + above.get(t_us, 0) for t_us, rss in samples if began_us <= t_us <= until_us]
        further = max(max(together, default=0) - visit.peak_bytes, 0)
        return start_bytes, retained_bytes, visit.spike_bytes + further

    def peak(self, export):
        """The most that the job held: by the curve, by exact peaks alone, and by these with the least that others had meanwhile."""
        sums = {t_us: sum(own.get(t_us, 0) for own in self.own.values()) for t_us in self.ticks}
        alive = {t_us: sum(t_us in own for own in self.own.values()) for t_us in self.ticks}
        highest = max(self.tree(), key=lambda point: point[1])
        best, is_one = highest[1], any([highest[0], highest[1]] in samples for samples in self.rss.values())
        error = export["report"]["peak_error_bytes"]
        for before, mark in zip(export["marks"], export["marks"][1:]):
            if before["process"] != mark["process"] or mark["peak_bytes"] is None:
                continue
            peak = max(mark["peak_bytes"], before["rss_bytes"], mark["rss_bytes"])
            first, behind = bisect.bisect_left(self.ticks, before["t_us"]), bisect.bisect_right(self.ticks, mark["t_us"])
            within, around = self.ticks[first:behind], self.ticks[max(first - 1, 0) : behind + 1]
            if max((alive[t_us] for t_us in around), default=0) <= 1:
                if peak > best or (is_one and peak + error >= best):
                    best, is_one = peak, False
                continue
            own, rss = self.own[mark["process"]], dict(self.rss[mark["process"]])
            seen = [t_us for t_us in self.ticks[:behind] if t_us in own]
            shared = rss[seen[-1]] - own[seen[-1]] if seen else 0
            others = min(sums[t_us] - own.get(t_us, 0) for t_us in within or around)
            bound = max(peak, peak - shared + others)
            if bound > best:
                best, is_one = bound, False
        return max([best] + [row["peak_bytes"] for row in self.processes.values() if row["peak_kind"] == "exact"])

    def tree_peak_of(self, visit):
        until_us = math.inf if visit.ended_us is None else visit.ended_us
        below = {}
        for _, held in self.branches(visit.process):
            for t_us, bytes_ in held.items():
                below[t_us] = below.get(t_us, 0) + bytes_
        together = [rss + below[t_us] for t_us, rss in self.rss[visit.process] if t_us in below and visit.began_us <= t_us <= until_us]
        return max(together + [visit.peak_bytes])

"""The case that Highwater was made for: 85 files in one session, each of which leaves about 40 MB behind."""

import random

AREAS = ("billing", "orders", "search", "users", "reports", "mail", "stock", "prices", "audit", "exports", "imports", "feeds", "rules", "quotes")
FLOWS = ("checkout", "signup", "refund", "login", "upload", "invoice", "catalogue", "settings", "shipping", "returns", "newsletter", "support", "admin")
KEPT_MB = 40
SPIKE_MB = (500, 650, 800, 900, 1000)

_HEAD = '"""%s"""\n\nimport time\n\nimport pytest\n\nimport memory_kinds as kinds\n\nKEPT = []\n'
_KEEPS = "\n\ndef test_%s():\n    KEPT.append(kinds.%s(%d))\n    time.sleep(%.3f)\n"
_FIXTURE = (
    '\n\n@pytest.fixture(scope="%s")\ndef %s():\n    """Never given back, as a client that nobody closes."""\n'
    "    KEPT.append(kinds.mapped(%d))\n    return KEPT[-1]\n\n\ndef test_with_%s(%s):\n    time.sleep(%.3f)\n    assert %s\n"
)
_SPIKE = "\n\ndef test_whole_flow():\n    kinds.%s(%d, %.3f)\n"


def monolith(options):
    """About half unit files and half e2e files; five of the latter need 0.5 to 1 GB for a while (times the scale)."""
    chance = random.Random(options.seed)
    files = {}
    units = (options.files + 1) // 2
    heavy = dict(zip(_spread(options.files - units, len(SPIKE_MB)), SPIKE_MB))
    for n in range(options.files):
        unit = n < units
        area = AREAS[n % len(AREAS)] if unit else FLOWS[(n - units) % len(FLOWS)]
        turn = (n if unit else n - units) // (len(AREAS) if unit else len(FLOWS))
        name = "test_%s%s.py" % (area, "" if turn == 0 else "_%d" % (turn + 1))
        path = "tests/%s/%s" % ("unit" if unit else "e2e", name)
        files[path] = _file(area, options.scale, chance, None if unit else heavy.get(n - units))
    for folder in {path.rsplit("/", 1)[0] for path in files}:
        files[folder + "/__init__.py"] = ""
    files["tests/__init__.py"] = ""
    return files


def _spread(length, parts):
    return [length * (part + 1) // (parts + 1) for part in range(parts)]


def _file(area, scale, chance, spike_mb):
    kept = _bytes(KEPT_MB * chance.uniform(0.8, 1.2), scale)
    pause = 0.05
    text = _HEAD % ("Tests of %s." % area)
    how = chance.choice(("mapped", "Malloc", "objects", "module", "session"))
    if how in ("module", "session"):
        name = "%s_%s" % (area, "client" if how == "module" else "service")
        text += _FIXTURE % (how, name, kept, name, name, pause, name)
    else:
        for part in ("first", "second"):
            text += _KEEPS % ("%s_%s" % (area, part), how, kept // 2, pause / 2)
    if spike_mb:
        text += _SPIKE % (chance.choice(("spike", "child")), _bytes(spike_mb, scale), 0.3)
    return text


def _bytes(megabytes, scale):
    return int(megabytes * 1000 * 1000 * scale) // 4096 * 4096

"""Small suites, each about one thing. Sizes are those of `--scale 0.1`, and grow with it."""

_HEAD = "import time\n\nimport pytest\n\nimport memory_kinds as kinds\n\nKEPT = []\n"


def _size(options, megabytes):
    return int(megabytes * 1000 * 1000 * options.scale / 0.1) // 4096 * 4096


def exact(options):
    """A spike of 200 MB for 5 ms, and a file that keeps 50 MB; the sizes do not depend on the scale."""
    return {
        "tests/test_spike.py": _HEAD
        + "\ndef test_needs_200_mb_for_5_ms():\n    kinds.spike(200 * kinds.MB, 0.005)\n"
        + "\n\ndef test_needs_nothing():\n    pass\n",
        "tests/test_retain.py": _HEAD
        + "\ndef test_keeps_50_mb():\n    KEPT.append(kinds.mapped(50 * kinds.MB))\n",
    }


def kinds(options):
    """Every way to keep memory: in tests, in fixtures of each scope, in imports."""
    size = _size(options, 20)
    held = {
        "mmap": "kinds.mapped(%d)" % size,
        "malloc": "kinds.Malloc(%d)" % size,
        "objects": "kinds.objects(%d)" % size,
    }
    files = {
        "tests/test_%s.py" % name: _HEAD + "\ndef test_keeps():\n    KEPT.append(%s)\n" % how for name, how in held.items()
    }
    files["tests/test_import.py"] = _HEAD + "\nKEPT.append(%s)\n\n\ndef test_uses():\n    assert KEPT\n" % held["mmap"]
    fixture = "\n@pytest.fixture(scope=%r)\ndef %s():\n    held = %s\n    yield held\n    held.close()\n"
    uses = "\n\ndef test_%d(%s):\n    assert %s\n"
    for scope in ("function", "module"):
        name = scope + "_data"
        files["tests/test_%s_fixture.py" % scope] = (
            _HEAD + fixture % (scope, name, held["mmap"]) + "".join(uses % (n, name, name) for n in (1, 2))
        )
    files["tests/test_session_fixture.py"] = _HEAD + fixture % ("session", "session_data", held["mmap"]) + uses % (
        1,
        "session_data",
        "session_data",
    )
    return files


def spikes(options):
    """Spikes in the process and in children."""
    own, child = _size(options, 60), _size(options, 80)
    return {
        "tests/test_own.py": _HEAD + "\n\n".join("\ndef test_%d():\n    kinds.spike(%d, 0.04)" % (n, own) for n in range(5)) + "\n",
        "tests/test_child.py": _HEAD + "\ndef test_child():\n    kinds.child(%d, 0.6)\n" % child,
    }


def reuse(options):
    """Orders in which freed space is used again: RSS rightly shows nothing for the second file."""
    size = _size(options, 20)
    return {
        "tests/test_a_frees.py": _HEAD + "\ndef test_frees():\n    held = kinds.objects(%d)\n    del held\n" % size,
        "tests/test_b_keeps_in_freed_space.py": _HEAD + "\ndef test_keeps():\n    KEPT.append(kinds.objects(%d))\n" % (size // 2),
    }


def plateaus(options):
    """Levels held for about a second each, with children, to compare the job's peak with another sampler."""
    size = _size(options, 100)
    text = _HEAD
    for level in (1, 2, 3):
        text += "\n\ndef test_level_%d():\n    KEPT.append(kinds.mapped(%d))\n    kinds.child(%d, 1.0)\n" % (level, size, size // 2)
    return {"tests/test_levels.py": text}


def outcomes(options):
    """Every outcome a test can have."""
    return {
        "tests/test_outcomes.py": _HEAD
        + """
@pytest.fixture
def broken():
    raise RuntimeError("set-up")


@pytest.fixture
def breaks_after():
    yield
    raise RuntimeError("teardown")


def test_passes():
    pass


def test_fails():
    assert False


def test_error_in_setup(broken):
    pass


def test_error_in_teardown(breaks_after):
    pass


@pytest.mark.skip(reason="asked for")
def test_skipped():
    pass


@pytest.mark.xfail
def test_xfailed():
    assert False


@pytest.mark.xfail
def test_xpassed():
    pass
"""
    }

//! The variable's value: `path::name (phase)`.

/// What a test does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Its fixtures are set up.
    Setup,
    /// Its body runs.
    Call,
    /// Its fixtures are torn down.
    Teardown,
}

impl Phase {
    /// The word that pytest has for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Call => "call",
            Self::Teardown => "teardown",
        }
    }
}

/// The last value that was seen, kept so that the same value costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Current {
    raw: Vec<u8>,
    nodeid: String,
    phase: Option<Phase>,
}

impl Current {
    /// Whether it was made of these bytes.
    pub(super) fn is(&self, raw: &[u8]) -> bool {
        !self.raw.is_empty() && self.raw == raw
    }

    pub(super) fn set(&mut self, raw: &[u8]) {
        self.raw.clear();
        self.raw.extend_from_slice(raw);
        let (nodeid, phase) = split(raw);
        self.nodeid.clear();
        self.nodeid.push_str(&String::from_utf8_lossy(nodeid));
        self.phase = phase;
    }

    pub(super) fn nodeid(&self) -> &str {
        &self.nodeid
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.phase
    }
}

/// The xdist worker, and where its name was read.
#[derive(Debug, Default)]
pub(super) struct Worker {
    pointer: u64,
    name: Option<String>,
}

impl Worker {
    /// Whether it was read there.
    pub(super) fn is_at(&self, pointer: u64) -> bool {
        self.name.is_some() && self.pointer == pointer
    }

    pub(super) fn set(&mut self, pointer: u64, name: &[u8]) {
        self.pointer = pointer;
        self.name = Some(String::from_utf8_lossy(name).into_owned());
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Node id and phase. A node id may hold spaces and parentheses, so only the last word in parentheses is a phase, and only one that pytest has:
/// whatever else sets the variable is taken whole.
fn split(value: &[u8]) -> (&[u8], Option<Phase>) {
    for phase in [Phase::Setup, Phase::Call, Phase::Teardown] {
        let nodeid = value
            .strip_suffix(b")")
            .and_then(|value| value.strip_suffix(phase.word().as_bytes()))
            .and_then(|value| value.strip_suffix(b" ("));
        if let Some(nodeid) = nodeid {
            return (nodeid, Some(phase));
        }
    }
    (value, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_is_the_last_word_in_parentheses() {
        let long = "ä".repeat(2_000);
        let with_phase = format!("t.py::t[{long}] (call)");
        let nodeid = format!("t.py::t[{long}]");
        for (value, nodeid, phase) in [
            ("a/t.py::C::t (setup)", "a/t.py::C::t", Some(Phase::Setup)),
            ("t.py::t (call)", "t.py::t", Some(Phase::Call)),
            ("t.py::t (teardown)", "t.py::t", Some(Phase::Teardown)),
            (
                "t.py::t[a (call)] (setup)",
                "t.py::t[a (call)]",
                Some(Phase::Setup),
            ),
            (
                "t.py::t[( (b) ] (call)",
                "t.py::t[( (b) ]",
                Some(Phase::Call),
            ),
            ("t.py::t (call) (call)", "t.py::t (call)", Some(Phase::Call)),
            (
                "тест.py::試験[\u{1F600} ] (call)",
                "тест.py::試験[\u{1F600} ]",
                Some(Phase::Call),
            ),
            ("t.py::t (recall)", "t.py::t (recall)", None),
            ("t.py::t(call)", "t.py::t(call)", None),
            ("t.py::t (call", "t.py::t (call", None),
            (" (call)", "", Some(Phase::Call)),
            ("", "", None),
            (&with_phase, &nodeid, Some(Phase::Call)),
        ] {
            let mut current = Current::default();
            current.set(value.as_bytes());
            assert_eq!((current.nodeid(), current.phase()), (nodeid, phase));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut current = Current::default();
        current.set(b"t\xff.py::t (call)");
        assert_eq!(
            (current.nodeid(), current.phase()),
            ("t\u{fffd}.py::t", Some(Phase::Call))
        );
        assert!(current.is(b"t\xff.py::t (call)"));
        assert!(!current.is(b"t\xff.py::t (setup)"));
    }
}

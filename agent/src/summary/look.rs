//! What the terminal can show.

use std::io::IsTerminal;

use crate::ci::Env;

/// Width of a terminal that does not tell.
const DEFAULT_COLUMNS: usize = 80;
const LEAST_COLUMNS: usize = 40;
const MOST_COLUMNS: usize = 160;
/// Room for the longest node id there can be.
const UNCUT_COLUMNS: usize = 8_000;

/// How text is laid out for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal.
    pub columns: usize,
    /// Columns that lines with names may take: in a file or a CI's log nothing has to be cut.
    pub name_columns: usize,
    /// Whether escape sequences for bold and dim text are understood.
    pub colour: bool,
    /// Whether block characters can be shown.
    pub unicode: bool,
}

impl Look {
    /// What standard error can show.
    #[must_use]
    pub fn of_stderr(env: &Env) -> Self {
        Self::of(
            std::io::stderr().is_terminal(),
            rustix::termios::tcgetwinsize(std::io::stderr())
                .ok()
                .map(|size| size.ws_col),
            env,
        )
    }

    /// What standard output can show.
    #[must_use]
    pub fn of_stdout(env: &Env) -> Self {
        Self::of(
            std::io::stdout().is_terminal(),
            rustix::termios::tcgetwinsize(std::io::stdout())
                .ok()
                .map(|size| size.ws_col),
            env,
        )
    }

    fn of(is_terminal: bool, columns: Option<u16>, env: &Env) -> Self {
        let said = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let columns = columns
            .map(usize::from)
            .filter(|columns| *columns > 0)
            .or_else(|| said("COLUMNS").and_then(|columns| columns.parse().ok()))
            .unwrap_or(DEFAULT_COLUMNS);
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(said);
        Self {
            columns: columns.clamp(LEAST_COLUMNS, MOST_COLUMNS),
            name_columns: if is_terminal {
                columns.clamp(LEAST_COLUMNS, MOST_COLUMNS)
            } else {
                UNCUT_COLUMNS
            },
            colour: is_terminal
                && said("NO_COLOR").is_none()
                && said("TERM").is_none_or(|term| term != "dumb"),
            unicode: locale.is_some_and(|locale| {
                locale
                    .to_ascii_lowercase()
                    .replace('-', "")
                    .contains("utf8")
            }),
        }
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        if self.colour {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

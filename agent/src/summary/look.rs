//! What the terminal can show.

use std::io::IsTerminal;

use highwater_report::Look;

use crate::ci::Env;

const LEAST_COLUMNS: usize = 40;
const MOST_COLUMNS: usize = 160;

/// What standard error can show.
#[must_use]
pub fn of_stderr(env: &Env) -> Look {
    of(
        std::io::stderr().is_terminal(),
        rustix::termios::tcgetwinsize(std::io::stderr())
            .ok()
            .map(|size| size.ws_col),
        env,
    )
}

/// What standard output can show.
#[must_use]
pub fn of_stdout(env: &Env) -> Look {
    of(
        std::io::stdout().is_terminal(),
        rustix::termios::tcgetwinsize(std::io::stdout())
            .ok()
            .map(|size| size.ws_col),
        env,
    )
}

fn of(is_terminal: bool, columns: Option<u16>, env: &Env) -> Look {
    let said = |name: &str| env.get(name).filter(|value| !value.is_empty());
    let usual = Look::default();
    let columns = columns
        .map(usize::from)
        .filter(|columns| *columns > 0)
        .or_else(|| said("COLUMNS").and_then(|columns| columns.parse().ok()))
        .unwrap_or(usual.columns)
        .clamp(LEAST_COLUMNS, MOST_COLUMNS);
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(said);
    Look {
        columns,
        name_columns: match is_terminal {
            true => columns,
            false => usual.name_columns,
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

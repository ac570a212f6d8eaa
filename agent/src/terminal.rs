//! The one place that writes to the terminal.
//!
//! What cannot be written is lost, and nothing else happens, but where to write is all that was asked ([`print`]): a log on a full disk or a reader that has gone must neither keep the
//! tests from running nor change how they end.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Says something of the agent's own on standard error, in one line, whatever it quotes: text from elsewhere can neither
/// move the cursor nor begin a line of its own.
pub fn tell(what: impl Display) {
    drop(std::io::stderr().write_all(line(what).as_bytes()));
}

/// Writes laid out text to standard error.
pub fn show(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}

/// Says something in GitHub's own way, as a workflow command; the runner reads it on either stream.
pub fn annotate(title: &str, text: &str) {
    show(&annotation(title, text));
}

fn annotation(title: &str, text: &str) -> String {
    let text = text
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("::warning title={title}::{plain}\n")
}

/// Writes the answer of a subcommand to standard output, as lines.
pub fn answer(text: &str) {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut stdout = std::io::stdout();
    drop(write!(stdout, "{text}{end}").and_then(|()| stdout.flush()));
}

/// Writes what was asked for to standard output, as lines: where that is all a subcommand is for, it was done only once it is written. Who reads no further
/// has what he wanted.
///
/// # Errors
/// When it cannot be written, as on a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut stdout = io::stdout();
    match write!(stdout, "{text}{end}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Writes what another program reads to standard output, byte by byte.
pub fn answer_bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    drop(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

fn line(what: impl Display) -> String {
    let mut line = "highwater: ".to_owned();
    for c in what.to_string().trim_end().chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::{annotation, line};

    #[test]
    fn an_annotation_is_one_line_whatever_it_quotes() {
        assert_eq!(
            annotation("Highwater", "100 %\n::error::forged\u{1b}[2J"),
            "::warning title=Highwater::100 %25%0A::error::forged[2J\n"
        );
    }

    #[test]
    fn what_is_quoted_stays_in_its_line() {
        assert_eq!(line("kept in /tmp/ü"), "highwater: kept in /tmp/ü\n");
        assert_eq!(
            line("403: \u{1b}[2Ja\u{7}\nhighwater: forged\n"),
            "highwater: 403: \\u{1b}[2Ja\\u{7}\\nhighwater: forged\n"
        );
    }
}

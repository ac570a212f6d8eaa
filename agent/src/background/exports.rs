//! How the next steps of a CI job get to know the variables of a recording.

use std::{
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

/// What a variable is called and what it is to be.
pub type Variables = Vec<(&'static str, OsString)>;

/// Files by which a CI lets a step set variables for those after it, and how a line of each looks.
const FILES: [(&str, Form); 3] = [
    ("GITHUB_ENV", Form::Delimited),
    ("BASH_ENV", Form::Shell),
    ("BUILDKITE_ENV_FILE", Form::Quoted),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `NAME<<END`, the value, `END`: the form of GitHub Actions for any value.
    Delimited,
    /// `export NAME='value'`, as a shell reads it.
    Shell,
    /// `NAME="value"`, as Buildkite reads its file.
    Quoted,
}

/// Writes the variables to every such file of the environment; answers the files' variables that were there.
///
/// # Errors
/// When a file cannot be written.
pub fn export(
    variables: &Variables,
    present: impl Fn(&str) -> Option<OsString>,
) -> io::Result<Vec<&'static str>> {
    let mut used = Vec::new();
    for (name, form) in FILES {
        let Some(path) = present(name).filter(|path| !path.is_empty()) else {
            continue;
        };
        let path = PathBuf::from(path);
        let text: Vec<u8> = variables
            .iter()
            .flat_map(|(name, value)| line(form, name, value))
            .collect();
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(&text))
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{name} ({}): {error}", path.display()),
                )
            })?;
        used.push(name);
    }
    Ok(used)
}

/// The variables as a shell's `eval` reads them.
#[must_use]
pub fn for_eval(variables: &Variables) -> Vec<u8> {
    let lines = variables
        .iter()
        .flat_map(|(name, value)| line(Form::Shell, name, value));
    lines.collect()
}

fn line(form: Form, name: &str, value: &OsStr) -> Vec<u8> {
    let value = value.as_bytes();
    let parts: [&[u8]; 6] = match form {
        Form::Delimited => [
            name.as_bytes(),
            b"<<HIGHWATER_END_OF_VALUE\n",
            value,
            b"\nHIGHWATER_END_OF_VALUE\n",
            b"",
            b"",
        ],
        Form::Shell => {
            // Within single quotes nothing means anything but the quote itself.
            let quoted = escaped(value, b"'", b"'\\''");
            return [b"export ", name.as_bytes(), b"='", &quoted, b"'\n"].concat();
        }
        Form::Quoted => {
            let quoted = escaped(&escaped(value, b"\\", b"\\\\"), b"\"", b"\\\"");
            return [
                name.as_bytes(),
                b"=\"",
                &escaped(&quoted, b"$", b"\\$"),
                b"\"\n",
            ]
            .concat();
        }
    };
    parts.concat()
}

fn escaped(value: &[u8], what: &[u8; 1], with: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(value.len());
    for byte in value {
        if *byte == what[0] {
            escaped.extend(with);
        } else {
            escaped.push(*byte);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const ODD: &str = "a b'c\"$HOME`x`\\n*";

    fn variables() -> Variables {
        vec![("HIGHWATER_X", ODD.into()), ("HIGHWATER_Y", "".into())]
    }

    #[test]
    fn a_shell_reads_back_any_value() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("env");
        std::fs::write(&script, for_eval(&variables())).unwrap();
        for shell in ["sh", "bash"] {
            let output = Command::new(shell)
                .args([
                    "-c",
                    r#"eval "$(cat "$1")"; printf '%s|%s' "$HIGHWATER_X" "$HIGHWATER_Y""#,
                    shell,
                ])
                .arg(&script)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{ODD}|"));
        }
    }

    #[test]
    fn each_file_that_is_there_is_written_in_its_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("GITHUB_ENV"), "BEFORE=1\n").unwrap();
        let present = |name: &str| (name != "BASH_ENV").then(|| path(name).into_os_string());
        let used = export(&variables(), present).unwrap();
        assert_eq!(used, ["GITHUB_ENV", "BUILDKITE_ENV_FILE"]);
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        assert_eq!(
            read("GITHUB_ENV"),
            format!(
                "BEFORE=1\nHIGHWATER_X<<HIGHWATER_END_OF_VALUE\n{ODD}\nHIGHWATER_END_OF_VALUE\n\
                 HIGHWATER_Y<<HIGHWATER_END_OF_VALUE\n\nHIGHWATER_END_OF_VALUE\n"
            )
        );
        assert_eq!(
            read("BUILDKITE_ENV_FILE"),
            "HIGHWATER_X=\"a b'c\\\"\\$HOME`x`\\\\n*\"\nHIGHWATER_Y=\"\"\n"
        );
    }
}

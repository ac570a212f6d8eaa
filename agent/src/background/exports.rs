//! How the next steps of a CI job get to know the variables of a recording.

use std::{
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::regular;

/// What a variable is called and what it is to be.
pub type Variables = Vec<(&'static str, OsString)>;

/// Files by which a CI lets a step set variables for those after it, and how a line of each looks.
const FILES: [(&str, Form); 3] = [
    ("GITHUB_ENV", Form::Delimited),
    ("BASH_ENV", Form::Shell),
    ("BUILDKITE_ENV_FILE", Form::Quoted),
];

/// The variable by which the CI says that it is there whose file a variable is; none where only that CI has such a variable.
fn sign_of_ci(name: &str) -> Option<&'static str> {
    match name {
        // On any other machine bash itself reads that file, for whoever set it there, and long after the job.
        "BASH_ENV" => Some("CIRCLECI"),
        "BUILDKITE_ENV_FILE" => Some("BUILDKITE"),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `NAME<<END`, the value, `END`: the form of GitHub Actions for any value.
    Delimited,
    /// `export NAME='value'`, as a shell reads it.
    Shell,
    /// `NAME="value"`, as Buildkite reads its file.
    Quoted,
}

/// What became of the files of an environment.
#[derive(Debug, Default)]
pub struct Exported {
    /// Those that were written.
    pub written: Vec<&'static str>,
    /// Those that could not be, and why, a line each.
    pub failed: Vec<String>,
}

/// Writes the variables to every such file of the environment that is this CI's, but for those that it has with their values.
#[must_use]
pub fn export(variables: &Variables, present: impl Fn(&str) -> Option<OsString>) -> Exported {
    let mut exported = Exported::default();
    let is_set =
        |sign: &str| present(sign).is_some_and(|value| !value.is_empty() && value != "false");
    for (name, form) in FILES {
        if !sign_of_ci(name).is_none_or(is_set) {
            continue;
        }
        let Some(path) = present(name).filter(|path| !path.is_empty()) else {
            continue;
        };
        let path = PathBuf::from(path);
        match append(&path, form, variables) {
            Ok(()) => exported.written.push(name),
            Err(error) => exported
                .failed
                .push(format!("{name} ({}): {error}", path.display())),
        }
    }
    exported
}

fn append(path: &Path, form: Form, variables: &Variables) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    // The CI may have made it a link, but nobody waits for the reader of a pipe.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut file = regular::open_with(&mut options, &path)?;
    let mut there = Vec::new();
    file.read_to_end(&mut there)?;
    let lines = variables
        .iter()
        .map(|(name, value)| (name, line(form, name, value)));
    let new: Vec<Vec<u8>> = lines
        .filter(|(name, line)| !has(&there, form, name, line))
        .map(|(_, line)| line)
        .collect();
    // Another step's last line may lack its end.
    let end: &[u8] = match there.last() {
        None | Some(b'\n') => b"",
        Some(_) if new.is_empty() => b"",
        Some(_) => b"\n",
    };
    file.write_all(&[end, &new.concat()].concat())
}

/// Whether a file gives a variable this value already: the last that it gives it counts.
fn has(there: &[u8], form: Form, name: &str, line: &[u8]) -> bool {
    let gives = match form {
        Form::Delimited => vec![format!("{name}<<"), format!("{name}=")],
        Form::Shell => vec![format!("export {name}="), format!("{name}=")],
        Form::Quoted => vec![format!("{name}=")],
    };
    let ends = there.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let begins = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
    let given = begins.map(|at| &there[at..]);
    let mut given =
        given.filter(|rest| gives.iter().any(|gives| rest.starts_with(gives.as_bytes())));
    given.next_back().is_some_and(|rest| rest.starts_with(line))
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
        std::fs::write(path("GITHUB_ENV"), "BEFORE=1").unwrap();
        let present = |name: &str| (name != "BASH_ENV").then(|| path(name).into_os_string());
        let exported = export(&variables(), present);
        assert_eq!(exported.written, ["GITHUB_ENV", "BUILDKITE_ENV_FILE"]);
        assert!(exported.failed.is_empty(), "{exported:?}");
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

    #[test]
    fn a_value_that_a_file_gives_already_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let present = |name: &str| match name {
            "CIRCLECI" | "BUILDKITE" => Some("true".into()),
            _ => Some(path(name).into_os_string()),
        };
        let all = || FILES.map(|(name, _)| std::fs::read_to_string(path(name)).unwrap());
        let written =
            |variables: &Variables| assert_eq!(export(variables, present).written.len(), 3);
        written(&variables());
        let once = all();
        written(&variables());
        assert_eq!(all(), once);
        // Another value comes behind, and so does the first where it is not the last any more.
        let other = vec![("HIGHWATER_X", OsString::from("other"))];
        written(&other);
        let twice = all();
        written(&variables());
        let values = |text: &String| text.matches("HIGHWATER_X").count();
        assert_eq!(all().map(|text| values(&text)), [3; 3]);
        assert_eq!(twice.map(|text| values(&text)), [2; 3]);
        let empty = |text: &String| text.matches("HIGHWATER_Y").count();
        assert_eq!(all().map(|text| empty(&text)), [1; 3]);
    }

    #[test]
    fn a_file_that_is_not_this_cis_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (signs, written) in [
            (&[][..], &[][..]),
            (&[("CIRCLECI", "true")], &["BASH_ENV"]),
            (&[("BUILDKITE", "true")], &["BUILDKITE_ENV_FILE"]),
            (&[("CIRCLECI", "false"), ("BUILDKITE", "")], &[]),
        ] {
            let present = |name: &str| match name {
                "BASH_ENV" | "BUILDKITE_ENV_FILE" => Some(path(name).into_os_string()),
                _ => {
                    let sign = signs.iter().find(|(sign, _)| *sign == name);
                    sign.map(|(_, value)| value.into())
                }
            };
            let exported = export(&variables(), present);
            assert_eq!(exported.written, written, "{signs:?}");
            for name in ["BASH_ENV", "BUILDKITE_ENV_FILE"] {
                let is_there = std::fs::remove_file(path(name)).is_ok();
                assert_eq!(is_there, written.contains(&name), "{name}, {signs:?}");
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_does_not_keep_another_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("GITHUB_ENV")).unwrap();
        let made = Command::new("mkfifo")
            .arg(path("BUILDKITE_ENV_FILE"))
            .status();
        assert!(made.unwrap().success());
        let exported = export(&variables(), |name| Some(path(name).into_os_string()));
        assert_eq!(exported.written, ["BASH_ENV"]);
        let failed = exported.failed.join("\n");
        assert!(
            failed.contains("GITHUB_ENV") && failed.contains("BUILDKITE"),
            "{failed}"
        );
    }
}

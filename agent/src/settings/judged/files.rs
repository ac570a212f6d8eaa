//! Limits of some files: `[[tool.highwater.check.files]]`, and the variable for the same.

use highwater_analysis::check::FileLimits;

use crate::ci::Env;

/// The tables' name.
pub(super) const FILES: &str = "files";
/// Every key of such a table.
const KEYS: [&str; 4] = ["path", "max-retained", "max-spike", "max-peak"];
/// A limit a line.
const VARIABLE: &str = "HIGHWATER_FILE_LIMIT";

/// What the variable says.
pub(super) fn of_variable(env: &Env) -> Result<Vec<FileLimits>, String> {
    let lines = env.get(VARIABLE).into_iter().flat_map(|text| text.lines());
    let lines = lines.filter(|line| !line.trim().is_empty());
    let limits = lines.map(str::parse).collect::<Result<_, String>>();
    limits.map_err(|problem| format!("{VARIABLE}: {problem}"))
}

/// What the tables say.
pub(super) fn of_tables(value: &toml::Value) -> Result<Vec<FileLimits>, String> {
    let tables = value.as_array().ok_or_else(|| {
        format!("[tool.highwater.check] {FILES}: write each as [[tool.highwater.check.{FILES}]]")
    })?;
    let limits = tables.iter().zip(1..).map(|(table, at)| {
        let limits = of_some(table);
        limits
            .map_err(|problem| format!("[[tool.highwater.check.{FILES}]], number {at}: {problem}"))
    });
    limits.collect()
}

/// The limits of one such table.
fn of_some(table: &toml::Value) -> Result<FileLimits, String> {
    let table = table
        .as_table()
        .ok_or_else(|| format!("{table} is no table"))?;
    let (mut path, mut limits) = (None, Vec::new());
    for (key, value) in table {
        if !KEYS.contains(&key.as_str()) {
            let keys = KEYS.join(", ");
            return Err(format!("{key}: there is no such setting; there are {keys}"));
        }
        let text = value.as_str();
        let text = text.ok_or_else(|| format!("{key}: {value} is no text; put it into quotes"))?;
        match key.as_str() {
            _ if text.trim().is_empty() => {}
            "path" => path = Some(text),
            key => limits.push((key, text)),
        }
    }
    let path = path.ok_or("path is missing: the files that it is for, such as tests/e2e/**")?;
    FileLimits::new(path, limits)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::{super::Judged, *};

    fn judged(given: Judged, text: &str, variable: &str) -> Result<Judged, String> {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("pyproject.toml"), text).unwrap();
        let env: Env = [(VARIABLE.to_owned(), variable.to_owned())]
            .into_iter()
            .collect();
        given.resolve(&env, folder.path())
    }

    fn flags(texts: &[&str]) -> Judged {
        Judged {
            files: texts.iter().map(|text| text.parse().unwrap()).collect(),
            ..Judged::default()
        }
    }

    #[test]
    fn limits_of_files_are_those_of_the_file_then_of_the_variable_then_of_flags() {
        let tables = "[tool.highwater.check]\nmax-retained = '5MB'\n\
             [[tool.highwater.check.files]]\npath = 'tests/e2e/**'\nmax-retained = 'off'\nmax-spike = ''\nmax-peak = '2GB'\n\
             [[tool.highwater.check.files]]\npath = 'b.py'\nmax-spike = '1MB'\n";
        let variable = "\n c=max-peak:3\n\nc*=max-spike:off \n";
        let all = judged(flags(&["d=max-peak:4"]), tables, variable).unwrap();
        assert_eq!(all.max_retained, Some(5_000_000));
        let texts: Vec<String> = all.files.iter().map(FileLimits::to_string).collect();
        assert_eq!(
            texts,
            [
                "tests/e2e/**=max-peak:2000000000,max-retained:off",
                "b.py=max-spike:1000000",
                "c=max-peak:3",
                "c*=max-spike:off",
                "d=max-peak:4"
            ]
        );
        let inline = "[tool.highwater]\ncheck.files = [{path = 'a', max-peak = '1'}]";
        let inline = judged(Judged::default(), inline, "").unwrap();
        assert_eq!(inline.files.len(), 1);
    }

    #[test]
    fn more_limits_of_files_than_can_be_sent_are_an_error() {
        let table = "[[tool.highwater.check.files]]\npath = 'a'\nmax-peak = '1'\n";
        for (count, is_right) in [(98, true), (99, false)] {
            let given = flags(&vec!["a=max-peak:1"; count]);
            let judged = judged(given, table, "b=max-peak:1");
            assert_eq!(judged.is_ok(), is_right, "{judged:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_an_error_with_its_place_its_key_and_what_is_allowed() {
        for (text, says) in [
            (
                "[tool.highwater.check.files]\npath = 'a'",
                "[tool.highwater.check] files: write each as [[tool.highwater.check.files]]",
            ),
            (
                "[tool.highwater.check]\nfiles = ['a']",
                "[[tool.highwater.check.files]], number 1: \"a\" is no table",
            ),
            (
                "[[tool.highwater.check.files]]\nmax-peak = '1'\n",
                "[[tool.highwater.check.files]], number 1: path is missing",
            ),
            (
                "[[tool.highwater.check.files]]\npath = 'a'\nmax-peak = '1'\n[[tool.highwater.check.files]]\npath = 'b'\nmin-headroom = '1'\n",
                "[[tool.highwater.check.files]], number 2: min-headroom: there is no such setting; there are path, max-retained,",
            ),
            (
                "[[tool.highwater.check.files]]\npath = 'a'\nmax-spike = 5",
                "number 1: max-spike: 5 is no text; put it into quotes",
            ),
            (
                "[[tool.highwater.check.files]]\npath = 'a'\nmax-spike = 'none'",
                "number 1: a: max-spike: \"none\" is not a size such as 3GB or 200MiB, nor off",
            ),
            (
                "[[tool.highwater.check.files]]\npath = 'a'\nmax-spike = ''",
                "number 1: a: no limit is given; give max-retained, max-spike or max-peak",
            ),
        ] {
            let error = judged(Judged::default(), text, "").unwrap_err();
            assert!(
                error.contains("pyproject.toml: ") && error.contains(says),
                "{error}"
            );
        }
        let error = judged(Judged::default(), "", "a=max-peak:1\na").unwrap_err();
        assert!(
            error.starts_with("HIGHWATER_FILE_LIMIT: \"a\" is no limit of files"),
            "{error}"
        );
    }
}

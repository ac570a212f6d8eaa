//! What imports took, where that is a relevant part of a job: those of test files, and of modules that tests import while they run, which no file is charged with.

use highwater_analysis::{digest::Digest, figures::mebibytes};
use highwater_wire::report::FileRow;

/// Imports that took less together are not told of, bytes.
const LEAST_BYTES: i64 = 4 << 20;
/// Nor are those that took less than this part of the job's peak.
const LEAST_PART: i64 = 20;
/// A module that took less is not named, bytes.
const LEAST_NAMED_BYTES: i64 = 1 << 20;
/// So many modules are named in a sentence.
const MOST_NAMED: usize = 3;

/// What imports took, over all processes.
pub(crate) struct Imports<'a> {
    /// Of test files, as they were collected, bytes.
    of_files: i64,
    /// Of modules that tests imported while they ran, bytes.
    late: i64,
    peak: i64,
    /// The modules of these that took most, each with the test file that asked first.
    pub(crate) modules: Vec<Module<'a>>,
}

pub(crate) struct Module<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: &'a FileRow,
    pub(crate) bytes: i64,
}

/// What imports took; none where that is no relevant part of the job.
pub(crate) fn of(digest: &Digest) -> Option<Imports<'_>> {
    let files = || digest.files.iter();
    let of_files = files().fold(0_i64, |sum, file| sum.saturating_add(file.import_bytes));
    let late = files().fold(0_i64, |sum, file| {
        sum.saturating_add(file.late_import_bytes)
    });
    let peak = digest.job.peak_bytes.cast_signed();
    if of_files.saturating_add(late) < LEAST_BYTES.max(peak / LEAST_PART) {
        return None;
    }
    let modules = files().flat_map(|file| {
        file.late_imports.iter().map(move |it| Module {
            name: &it.module,
            file,
            bytes: it.bytes,
        })
    });
    let mut modules: Vec<Module<'_>> = modules.filter(|it| it.bytes >= LEAST_NAMED_BYTES).collect();
    modules.sort_by_key(|it| std::cmp::Reverse(it.bytes));
    Some(Imports {
        of_files,
        late,
        peak,
        modules,
    })
}

impl Imports<'_> {
    /// It in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let Self {
            of_files,
            late,
            peak,
            ..
        } = self;
        let all = of_files.saturating_add(*late);
        // Several workers import the same, and never stand at their peaks at once.
        let part = match all <= *peak {
            true => format!(" ({:.0} % of the peak)", 100.0 * all as f64 / *peak as f64),
            false => String::new(),
        };
        let named = self.modules.iter().take(MOST_NAMED);
        let named: Vec<String> = named
            .map(|it| {
                format!(
                    "{} {}, first in {}",
                    it.name,
                    mebibytes(it.bytes),
                    it.file.path
                )
            })
            .collect();
        let named = match named.is_empty() {
            true => String::new(),
            false => format!(" ({})", named.join("; ")),
        };
        let late = match *late {
            ..LEAST_NAMED_BYTES => String::new(),
            late => format!(
                ", of these {} of modules that tests imported while they ran{named}",
                mebibytes(late)
            ),
        };
        format!("Imports took {}{part}{late}.", mebibytes(all))
    }
}

#[cfg(test)]
mod tests {
    use highwater_wire::report::LateImport;

    use super::*;
    use crate::tests::recorded;

    const MIB: i64 = 1 << 20;

    fn digest(of_file: i64, late: &[(&str, i64)]) -> Digest {
        let mut digest = recorded("tests/test_b.py");
        digest.job.peak_bytes = 100 << 20;
        let modules = late.iter().map(|(module, mib)| LateImport {
            module: (*module).to_owned(),
            bytes: mib * MIB,
        });
        let late_imports: Vec<LateImport> = modules.collect();
        digest.files = vec![FileRow {
            import_bytes: of_file * MIB,
            late_import_bytes: late_imports.iter().map(|it| it.bytes).sum(),
            late_imports,
            path: "a.py".to_owned(),
            ..digest.files[0].clone()
        }];
        digest
    }

    #[test]
    fn imports_are_told_where_they_are_a_relevant_part_with_the_modules() {
        let told =
            |of_file, late: &[(&str, i64)]| of(&digest(of_file, late)).map(|it| it.sentence());
        assert_eq!(told(1, &[("json", 1)]), None);
        assert_eq!(told(4, &[]), None);
        assert_eq!(
            told(6, &[]).unwrap(),
            "Imports took 6.0 MiB (6 % of the peak)."
        );
        assert_eq!(
            told(10, &[("scipy", 20), ("tiny", 0)]).unwrap(),
            "Imports took 30.0 MiB (30 % of the peak), of these 20.0 MiB of modules that tests imported while they ran (scipy 20.0 MiB, first in a.py)."
        );
        let many = told(0, &[("a", 40), ("b", 30), ("c", 20), ("d", 60)]).unwrap();
        assert!(
            many.starts_with("Imports took 150.0 MiB, of these 150.0 MiB"),
            "{many}"
        );
        assert!(
            many.contains("(d 60.0 MiB, first in a.py; a 40.0") && !many.contains("c 20"),
            "{many}"
        );
    }
}

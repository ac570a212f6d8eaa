//! A job as one JSON document: `{"report", "processes", "files", "visits", "collected", "tests", "fixtures", "marks", "series"}`. Rows are those of the API, visits,
//! marks and what was collected as in their tables; a series has all its samples, each `[t_us, value]`.

use std::io::Write;

use highwater_analysis::digest::Visit;
use highwater_store::DetailKind;
use highwater_wire::report::{CollectedRow, FileRow, FixtureRow, ProcessRow, TestRow};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{Done, marks, samples};
use crate::reading::Settled;

pub(super) fn write(job: &Settled, mut out: impl Write) -> Done {
    out.write_all(b"{\"report\":")?;
    serde_json::to_writer(&mut out, job.report())?;
    list::<ProcessRow>(job, DetailKind::Processes, "processes", &mut out)?;
    list::<FileRow>(job, DetailKind::Files, "files", &mut out)?;
    list::<Visit>(job, DetailKind::Visits, "visits", &mut out)?;
    list::<CollectedRow>(job, DetailKind::Collected, "collected", &mut out)?;
    list::<TestRow>(job, DetailKind::Tests, "tests", &mut out)?;
    list::<FixtureRow>(job, DetailKind::Fixtures, "fixtures", &mut out)?;
    out.write_all(b",\n\"marks\":[")?;
    let mut written = 0;
    marks::rows(job, &mut |rows| {
        for row in rows {
            writeln!(out, "{}", separator(written))?;
            serde_json::to_writer(&mut out, row)?;
            written += 1;
        }
        Ok(())
    })?;
    out.write_all(b"]")?;
    out.write_all(b",\n\"series\":[")?;
    for (nth, (row, of)) in samples::headings(job)?.into_iter().enumerate() {
        let heading = json!({"id": of.id, "metric": of.metric, "unit": of.unit, "process": of.process, "pid": of.pid, "worker": of.worker,
            "cgroup": of.cgroup});
        let heading = heading.to_string();
        let open = heading.trim_end_matches('}');
        write!(out, "{}\n{open},\"samples\":[", separator(nth))?;
        let mut written = 0;
        job.samples(&row, |samples| {
            for (t_us, value) in samples {
                write!(out, "{}[{t_us},{value}]", separator(written))?;
                written += 1;
            }
            Done::Ok(())
        })?;
        out.write_all(b"]}")?;
    }
    out.write_all(b"]}\n")?;
    out.flush()?;
    Ok(())
}

/// One kind of rows, a line each.
fn list<T: Serialize + DeserializeOwned>(
    job: &Settled,
    kind: DetailKind,
    name: &str,
    mut out: impl Write,
) -> Done {
    write!(out, ",\n\"{name}\":[")?;
    for (nth, row) in job.rows::<T>(kind)?.into_iter().enumerate() {
        writeln!(out, "{}", separator(nth))?;
        serde_json::to_writer(&mut out, &row)?;
    }
    out.write_all(b"]")?;
    Ok(())
}

fn separator(nth: usize) -> &'static str {
    if nth == 0 { "" } else { "," }
}

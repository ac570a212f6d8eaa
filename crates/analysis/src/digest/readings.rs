//! What was read each second of the machine, its cgroups and the processes outside the job, with the times of the readings.

use highwater_wire::v1::Metric;

use crate::recording::{Group, Rate, Recording, SeriesKey, Subject};

/// By how much a counter rose between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rise {
    /// Time of the reading before, µs since the job's start.
    pub(super) from_us: i64,
    /// Time of the reading that shows it.
    pub(super) to_us: i64,
    pub(super) by: i64,
}

/// Time and value of each reading, in order of time.
pub(super) fn points<'a>(
    recording: &'a Recording,
    subject: &Subject,
    metric: Metric,
) -> impl DoubleEndedIterator<Item = (i64, i64)> + 'a {
    let key = SeriesKey {
        subject: subject.clone(),
        metric,
    };
    let group: Option<&'a Group> = recording.groups().get(&Rate::Second);
    let runs = group
        .and_then(|group| group.series.get(&key))
        .map_or(&[][..], Vec::as_slice);
    let ticks = group.map_or(&[][..], |group| group.t_us.as_slice());
    runs.iter().flat_map(move |run| {
        let times = ticks.iter().skip(run.first).copied();
        times.zip(run.values.iter().copied())
    })
}

pub(super) fn values<'a>(
    recording: &'a Recording,
    subject: &Subject,
    metric: Metric,
) -> impl DoubleEndedIterator<Item = i64> + 'a {
    points(recording, subject, metric).map(|(_, value)| value)
}

/// Each rise of a counter; `None` where it was never read. It begins where it was read first: what was before is not the job's.
pub(super) fn rises(recording: &Recording, subject: &Subject, metric: Metric) -> Option<Vec<Rise>> {
    let mut points = points(recording, subject, metric);
    let mut before = points.next()?;
    let mut rises = Vec::new();
    for (t_us, value) in points {
        if value > before.1 {
            rises.push(Rise {
                from_us: before.0,
                to_us: t_us,
                by: value - before.1,
            });
        }
        before = (t_us, value);
    }
    Some(rises)
}

/// The last reading at or before an instant.
pub(super) fn last_at(
    recording: &Recording,
    subject: &Subject,
    metric: Metric,
    t_us: i64,
) -> Option<(i64, i64)> {
    points(recording, subject, metric).rfind(|point| point.0 <= t_us)
}

/// The cgroups that were read, in order of their paths.
pub(super) fn cgroups(recording: &Recording) -> Vec<&str> {
    let mut found: Vec<&str> = recording
        .groups()
        .get(&Rate::Second)
        .into_iter()
        .flat_map(|group| group.series.keys())
        .filter_map(|key| match &key.subject {
            Subject::Cgroup(path) => Some(path.as_str()),
            _ => None,
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

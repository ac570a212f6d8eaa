//! One row a fixture and the test file it was set up for.

use std::collections::BTreeMap;

use highwater_wire::report::FixtureRow;

use super::walk::Walk;

pub(super) fn rows(walks: &[Walk]) -> Vec<FixtureRow> {
    let mut rows: BTreeMap<(u32, &str, &str, &str, &str), FixtureRow> = BTreeMap::new();
    for fixture in walks.iter().flat_map(|walk| &walk.fixtures) {
        let key = (
            fixture.session,
            fixture.path.as_str(),
            fixture.name.as_str(),
            fixture.scope.as_str(),
            fixture.base.as_str(),
        );
        let row = rows.entry(key).or_insert_with(|| FixtureRow {
            name: fixture.name.clone(),
            scope: fixture.scope.clone(),
            path: fixture.path.clone(),
            base: fixture.base.clone(),
            session: fixture.session,
            setups: 0,
            setup_bytes: 0,
            released_bytes: 0,
            retained_bytes: 0,
            spike_bytes: 0,
            duration_us: 0,
            open: 0,
        });
        row.setups += 1;
        row.setup_bytes += fixture.setup_bytes;
        row.released_bytes += fixture.released_bytes;
        row.retained_bytes += fixture.setup_bytes - fixture.released_bytes;
        row.spike_bytes = row.spike_bytes.max(fixture.setup_peak - fixture.start);
        row.duration_us += fixture.duration_us;
        row.open += u64::from(!fixture.released);
    }
    rows.into_values().collect()
}

//! One row a fixture and the test file it was set up for.

use std::collections::BTreeMap;

use highwater_wire::report::FixtureRow;

use super::{children::Children, walk::Walk};

pub(super) fn rows(walks: &[Walk<'_>], children: &[Children<'_>]) -> Vec<FixtureRow> {
    let mut rows: BTreeMap<(u32, &str, &str, &str, &str), FixtureRow> = BTreeMap::new();
    let fixtures = walks.iter().zip(children).flat_map(|(walk, children)| {
        let fixtures = walk.fixtures.iter().enumerate();
        fixtures.map(|(at, fixture)| (fixture, children.of_fixture(at)))
    });
    for (fixture, children) in fixtures {
        let key = (
            fixture.session,
            fixture.path,
            fixture.name,
            fixture.scope,
            fixture.base,
        );
        let row = rows.entry(key).or_insert_with(|| FixtureRow {
            name: fixture.name.to_owned(),
            scope: fixture.scope.to_owned(),
            path: fixture.path.to_owned(),
            base: fixture.base.to_owned(),
            session: fixture.session,
            setups: 0,
            setup_bytes: 0,
            released_bytes: 0,
            retained_bytes: 0,
            spike_bytes: 0,
            children_bytes: 0,
            duration_us: 0,
            open: 0,
        });
        row.setups += 1;
        row.setup_bytes = row.setup_bytes.saturating_add(fixture.setup_bytes);
        row.released_bytes = row.released_bytes.saturating_add(fixture.released_bytes);
        row.retained_bytes = row.retained_bytes.saturating_add(fixture.held());
        row.spike_bytes = row.spike_bytes.max(fixture.setup_peak - fixture.start);
        row.children_bytes = row.children_bytes.max(children);
        row.duration_us += fixture.duration_us;
        row.open += u64::from(!fixture.released);
    }
    rows.into_values().collect()
}

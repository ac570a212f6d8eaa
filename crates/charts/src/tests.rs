use super::*;

const MIB: i64 = 1 << 20;

fn sample() -> Timeline {
    Timeline {
        from_us: 0,
        span_us: 10_000_000,
        tree: (0..50)
            .map(|at| Band {
                t_us: at * 200_000,
                min: at * 9 * MIB,
                max: at * 10 * MIB,
            })
            .collect(),
        processes: vec![
            Line {
                label: "gw0".to_owned(),
                points: vec![(0, 0), (9_000_000, 200 * MIB)],
            },
            Line {
                label: "gw1".to_owned(),
                points: vec![(0, 0), (9_000_000, 100 * MIB)],
            },
        ],
        limits: vec![
            Limit {
                label: "cgroup".to_owned(),
                bytes: 600 * MIB,
            },
            Limit {
                label: "machine".to_owned(),
                bytes: 7_000 * MIB,
            },
        ],
        peak: Some((9_800_000, 495 * MIB)),
        lanes: vec![Lane {
            label: "gw0".to_owned(),
            blocks: vec![
                Block {
                    from_us: 0,
                    to_us: 5_000_000,
                    label: "tests/test_a.py".to_owned(),
                    kind: BlockKind::Tests,
                },
                Block {
                    from_us: 5_000_000,
                    to_us: 5_010_000,
                    label: "tests/test_b.py".to_owned(),
                    kind: BlockKind::Failed,
                },
            ],
        }],
        forecast: None,
    }
}

#[test]
fn the_timeline_as_it_is_drawn() {
    insta::assert_snapshot!(timeline(&sample()).unwrap());
}

#[test]
fn a_chart_that_begins_later_draws_nothing_of_before() {
    let mut data = sample();
    data.from_us = 4_000_000;
    data.lanes[0].blocks[0].from_us = 5_000_000;
    data.lanes[0].blocks[0].kind = BlockKind::Collection;
    data.lanes[0].blocks[0].to_us = 8_000_000;
    data.lanes[0].blocks[0].label = "collection".to_owned();
    let svg = timeline(&data).unwrap();
    let whole = timeline(&sample()).unwrap();
    let texts = |svg: &str| -> Vec<String> {
        let lines = svg.lines().map(str::trim);
        let texts = lines.filter(|line| !line.is_empty() && !line.starts_with('<'));
        texts.map(str::to_owned).collect()
    };
    let (seen, all) = (texts(&svg), texts(&whole));
    assert!(all.contains(&"0 s".to_owned()) && !seen.contains(&"0 s".to_owned()));
    assert!(seen.contains(&"4 s".to_owned()) && seen.contains(&"10 s".to_owned()));
    assert!(seen.contains(&"collection".to_owned()), "{seen:?}");
    assert!(svg.matches(',').count() < whole.matches(',').count());
}

#[test]
fn times_are_told_at_whole_steps_wherever_they_begin() {
    let seconds = |from: i64, to: i64| -> Vec<i64> {
        let ticks = ticks::time_ticks(from * 1_000_000, to * 1_000_000, 10);
        ticks.into_iter().map(|t_us| t_us / 1_000_000).collect()
    };
    assert_eq!(seconds(0, 5)[..3], [0, 0, 1]);
    assert_eq!(seconds(41, 61), [42, 44, 46, 48, 50, 52, 54, 56, 58, 60]);
    assert_eq!(seconds(40, 60)[0], 40);
}

#[test]
fn hostile_labels_are_text() {
    let mut data = sample();
    data.lanes[0].label = "<script>".to_owned();
    data.lanes[0].blocks[0].label = "<img src=x onerror=alert(1)>".to_owned();
    let svg = timeline(&data).unwrap();
    assert!(!svg.contains("<script") && !svg.contains("<img"), "{svg}");
}

/// Colours are placeholders: one that the style sheet has no rule for would be seen as it is.
#[test]
fn nothing_is_styled_inline_and_the_style_sheet_has_a_rule_for_every_role() {
    let sheet = include_str!("../../../static/highwater.css");
    let mut full = sample();
    full.processes = (0..theme::PROCESS.len() as i64)
        .map(|at| Line {
            label: format!("gw{at}"),
            points: vec![(0, 0), (9_000_000, at * 50 * MIB)],
        })
        .collect();
    let block = full.lanes[0].blocks[0].clone();
    full.lanes[0].blocks.extend([block.clone(), block]);
    let bars = [true, false].map(|censored| HistoryBar {
        bytes: 5 * MIB,
        censored,
        change: None,
    });
    let svg = timeline(&full).unwrap() + &history(&bars).unwrap();
    assert!(!svg.contains("style="), "{svg}");
    let mut seen = std::collections::BTreeSet::new();
    for attribute in ["fill", "stroke"] {
        let begin = format!(" {attribute}=\"");
        let places = svg.split(&begin).skip(1);
        for colour in places.filter_map(|place| place.split('"').next()) {
            let rule = format!("svg [{attribute}=\"{colour}\"]");
            assert!(colour == "none" || sheet.contains(&rule), "no rule {rule}");
            seen.insert(colour);
        }
    }
    seen.remove("none");
    assert_eq!(
        seen.len(),
        theme::ROLES,
        "a role is not drawn here: {seen:?}"
    );
}

#[test]
fn an_empty_job_is_drawn_too() {
    assert!(timeline(&Timeline::default()).unwrap().contains("</svg>"));
    assert!(history(&[]).unwrap().contains("</svg>"));
}

#[test]
fn a_change_is_marked_before_its_bar_with_its_number() {
    let bars = |change: Option<usize>| {
        let bar = |at| HistoryBar {
            bytes: 5 * MIB,
            censored: false,
            change: change.filter(|_| at == 6),
        };
        history(&(0..10).map(bar).collect::<Vec<_>>()).unwrap()
    };
    let (plain, marked) = (bars(None), bars(Some(3)));
    let lines =
        |svg: &str| -> Vec<String> { svg.lines().map(|line| line.trim().to_owned()).collect() };
    let plain = lines(&plain);
    let mut added = lines(&marked);
    added.retain(|line| !plain.contains(line));
    // Six of ten bars are left of it.
    let x = 84 + (1100 - 84 - 14) * 6 / 10;
    let at = format!("{x},");
    assert!(
        added
            .iter()
            .any(|line| line.starts_with("<polyline") && line.contains(&at)),
        "{added:?}"
    );
    assert!(added.contains(&"3".to_owned()), "{added:?}");
}

#[test]
fn labels_are_short_and_say_their_unit() {
    assert_eq!(bytes_label(0), "0 MiB");
    assert_eq!(bytes_label(55 * MIB / 10), "5.5 MiB");
    assert_eq!(bytes_label(300 * MIB), "300 MiB");
    assert_eq!(bytes_label(20 * 1024 * MIB), "20.0 GiB");
    for (t_us, label) in [
        (0, "0 s"),
        (20_000, "0.02 s"),
        (1_500_000, "1.5 s"),
        (119_400_000, "119.4 s"),
        (119_700_000, "2 min 00 s"),
        (125_000_000, "2 min 05 s"),
        (179_700_000, "3 min 00 s"),
        (3_599_400_000, "59 min 59 s"),
        (3_599_600_000, "1 h 00 min"),
        (7_199_000_000, "2 h 00 min"),
        (7_230_000_000, "2 h 01 min"),
    ] {
        assert_eq!(time_label(t_us), label, "{t_us}");
    }
}

#[test]
fn what_the_peak_comes_to_is_drawn_beside_the_plot() {
    let mut data = sample();
    data.forecast = Some(Outlook {
        low: 700 * MIB,
        value: 800 * MIB,
        high: 950 * MIB,
    });
    let svg = timeline(&data).unwrap();
    assert!(svg.contains("by the end 800 MiB"), "{svg}");
    // The scale reaches to it, and the plot is as wide as without.
    let width = |svg: &str| {
        svg.split("width=\"")
            .nth(1)
            .map(|rest| rest[..4].to_owned())
    };
    assert_eq!(width(&svg), width(&timeline(&sample()).unwrap()));
    // One that lies beside the peak has no words of its own.
    let near = Outlook {
        low: 495 * MIB,
        value: 496 * MIB,
        high: 500 * MIB,
    };
    data.forecast = Some(near);
    assert!(!timeline(&data).unwrap().contains("by the end"));
}

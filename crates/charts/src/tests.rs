use super::*;

const MIB: i64 = 1 << 20;

fn sample() -> Timeline {
    Timeline {
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
                    failed: false,
                },
                Block {
                    from_us: 5_000_000,
                    to_us: 5_010_000,
                    label: "tests/test_b.py".to_owned(),
                    failed: true,
                },
            ],
        }],
    }
}

#[test]
fn the_timeline_as_it_is_drawn() {
    insta::assert_snapshot!(timeline(&sample()).unwrap());
}

#[test]
fn hostile_labels_are_text() {
    let mut data = sample();
    data.lanes[0].label = "<script>".to_owned();
    data.lanes[0].blocks[0].label = "<img src=x onerror=alert(1)>".to_owned();
    let svg = timeline(&data).unwrap();
    assert!(!svg.contains("<script") && !svg.contains("<img"), "{svg}");
}

#[test]
fn nothing_is_styled_inline_and_every_colour_has_a_role() {
    let svg = timeline(&sample()).unwrap()
        + &history(&[HistoryBar {
            bytes: 5 * MIB,
            censored: true,
        }])
        .unwrap();
    assert!(!svg.contains("style="), "{svg}");
    for part in svg.split('"').filter(|part| part.starts_with('#')) {
        assert!(
            ROLES.iter().any(|(colour, _)| *colour == part),
            "{part} has no role"
        );
    }
}

#[test]
fn an_empty_job_is_drawn_too() {
    assert!(timeline(&Timeline::default()).unwrap().contains("</svg>"));
    assert!(history(&[]).unwrap().contains("</svg>"));
}

#[test]
fn labels_are_short_and_say_their_unit() {
    assert_eq!(bytes_label(0), "0 MiB");
    assert_eq!(bytes_label(55 * MIB / 10), "5.5 MiB");
    assert_eq!(bytes_label(300 * MIB), "300 MiB");
    assert_eq!(bytes_label(20 * 1024 * MIB), "20.0 GiB");
    assert_eq!(time_label(1_500_000), "1.5 s");
    assert_eq!(time_label(125_000_000), "2 min 05 s");
}

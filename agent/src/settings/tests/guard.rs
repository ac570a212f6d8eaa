use super::*;
use crate::guard::{LimitSize, OnLimit};

#[test]
fn each_word_on_the_guard_comes_from_the_first_source_that_says_it() {
    let file = folder("[tool.highwater]\nmemory-limit = '6GB'\non-limit = 'stop'\n");
    let at = |given: Guarded, env: &[(&str, &str)]| {
        let given = Given {
            guard: given,
            ..Given::default()
        };
        resolve_in(&file, given, env)
    };
    let settings = at(Guarded::default(), &[]);
    let expected = Limit {
        size: LimitSize::Bytes(6_000_000_000),
        on_limit: OnLimit::Stop,
        quiet: false,
        annotates: false,
    };
    assert_eq!(settings.guarded, Some(expected));
    // What is guarded is shown as a limit too, unless another was given.
    assert_eq!(settings.job.budget_bytes, 6_000_000_000);
    let variables = [
        ("HIGHWATER_MEMORY_LIMIT", "80%"),
        ("HIGHWATER_BUDGET", "1GB"),
        ("HIGHWATER_QUIET", "1"),
        ("GITHUB_ACTIONS", "true"),
    ];
    let settings = at(Guarded::default(), &variables);
    let expected = Limit {
        size: LimitSize::Share(80),
        quiet: true,
        annotates: true,
        ..expected
    };
    assert_eq!(settings.guarded, Some(expected));
    assert_eq!(settings.job.budget_bytes, 1_000_000_000);
    let off = Guarded {
        limit: Some(MemoryLimit::Off),
        on_limit: None,
    };
    assert_eq!(at(off, &variables).guarded, None);
    let wrong = at(Guarded::default(), &[("HIGHWATER_ON_LIMIT", "kill")]);
    assert_eq!(
        wrong.guarded.map(|limit| limit.on_limit),
        Some(OnLimit::Stop)
    );
    assert!(wrong.places.problems[0].starts_with("HIGHWATER_ON_LIMIT: "));
    let bare = resolve_in(&folder(""), Given::default(), &[]);
    assert_eq!((bare.guarded, bare.job.budget_bytes), (None, 0));
}

#[test]
fn what_sysinfo_cannot_do_is_told_and_left_out() {
    let file = folder("[tool.highwater]\nmemory-limit = '6GB'\nplugin = false\n");
    let through = |backend: Backend| {
        let given = Given {
            backend: Some(backend),
            ..Given::default()
        };
        resolve_in(&file, given, &[])
    };
    let settings = through(Backend::Sysinfo);
    assert_eq!(settings.guarded, None);
    assert_eq!(settings.job.budget_bytes, 6_000_000_000);
    let told = |problem: &String| problem.split_once(": ").map(|(name, _)| name.to_owned());
    let told: Vec<_> = settings.places.problems.iter().filter_map(told).collect();
    assert_eq!(told, ["memory-limit", "plugin"]);
    let settings = through(Backend::Linux);
    assert!(settings.guarded.is_some());
    assert_eq!(settings.places.problems, [""; 0]);
    let nothing_asked = Given {
        backend: Some(Backend::Sysinfo),
        ..Given::default()
    };
    let settings = resolve_in(&folder(""), nothing_asked, &[]);
    assert_eq!(settings.places.problems, [""; 0]);
    assert_eq!(settings.job.interval_us, 200_000);
}

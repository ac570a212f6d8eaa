//! What becomes of a message after a try.

use std::time::Duration;

use highwater_store::Outcome;

use super::post::{Answer, PATIENCE};

/// How long after each try that failed the next one is made.
const RESTS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
];
/// Whoever is posted to may put the next try off by so much at most.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(3_600);
/// Whoever answers this wants no more of it.
const GONE: u16 = 410;
/// After so long whoever began a try is taken to be gone, µs: longer than any try lasts.
pub(crate) const CLAIMED_FOR_US: i64 = 60_000_000;
const _: () = assert!(CLAIMED_FOR_US as u128 > 2 * PATIENCE.as_micros());

/// What became of a try, of so many with this one, at a time, µs since 1970.
pub(super) fn outcome(tries: u32, answer: Answer, now_unix_us: i64) -> Outcome {
    let once = once(answer.clone());
    if once.state == "delivered" || once.status == Some(GONE) {
        return once;
    }
    let rest = RESTS.get(tries.saturating_sub(1) as usize).copied();
    let asked = match answer {
        Answer::Status(_, asked) => asked.unwrap_or_default().min(LONGEST_PUT_OFF),
        Answer::None(_) => Duration::ZERO,
    };
    let Some(rest) = rest else { return once };
    let rest_us = i64::try_from(rest.max(asked).as_micros()).unwrap_or(i64::MAX);
    Outcome {
        state: "waiting",
        next_unix_us: Some(now_unix_us.saturating_add(rest_us)),
        ..once
    }
}

/// What became of the only try of a message.
pub(crate) fn once(answer: Answer) -> Outcome {
    let (state, status, problem) = match answer {
        Answer::Status(status @ 200..=299, _) => ("delivered", Some(status), String::new()),
        Answer::Status(status @ 300..=399, _) => (
            "failed",
            Some(status),
            "leads elsewhere, and no redirect is followed".to_owned(),
        ),
        Answer::Status(GONE, _) => ("failed", Some(GONE), "wants no more".to_owned()),
        Answer::Status(status, _) => ("failed", Some(status), "did not take it".to_owned()),
        Answer::None(problem) => ("failed", None, problem),
    };
    Outcome {
        state,
        next_unix_us: None,
        status,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000;

    fn next(tries: u32, answer: Answer) -> (&'static str, Option<i64>) {
        let outcome = outcome(tries, answer, NOW);
        let rest = outcome.next_unix_us.map(|next| (next - NOW) / 1_000_000);
        (outcome.state, rest)
    }

    #[test]
    fn what_fails_is_tried_again_for_less_than_a_day_and_then_given_up() {
        let failed = || Answer::Status(500, None);
        let rests: Vec<i64> = (1..=7)
            .map(|tries| next(tries, failed()).1.unwrap())
            .collect();
        assert_eq!(rests, [5, 60, 300, 1_800, 7_200, 18_000, 36_000]);
        assert!(rests.iter().sum::<i64>() < 86_400);
        assert_eq!(next(8, failed()), ("failed", None));
        assert_eq!(
            next(1, Answer::None("refused".to_owned())),
            ("waiting", Some(5))
        );
    }

    #[test]
    fn only_a_status_of_success_is_a_receipt() {
        for status in [200, 204, 299] {
            assert_eq!(next(1, Answer::Status(status, None)), ("delivered", None));
        }
        for status in [199, 301, 307, 400, 404, 503] {
            assert_eq!(
                next(1, Answer::Status(status, None)),
                ("waiting", Some(5)),
                "{status}"
            );
        }
        assert_eq!(next(1, Answer::Status(410, None)), ("failed", None));
    }

    #[test]
    fn an_address_may_put_a_try_off_but_not_for_ever_and_not_bring_it_forward() {
        let asked = |tries, seconds| {
            next(
                tries,
                Answer::Status(429, Some(Duration::from_secs(seconds))),
            )
            .1
        };
        assert_eq!(asked(1, 120), Some(120));
        assert_eq!(asked(1, u64::MAX), Some(3_600));
        assert_eq!(asked(3, 1), Some(300));
    }
}

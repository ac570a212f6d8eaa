//! Whether a recording has arrived whole: one rule for the server's database and the agent's spool.

use highwater_wire::v1::End;
use uuid::Uuid;

/// How many batches the end of a job announces.
#[must_use]
pub fn announced(end: &End) -> u64 {
    end.streams
        .iter()
        .fold(0, |sum, stream| sum.saturating_add(stream.batches))
}

/// How many of them are missing, given how many different ones there are of each stream. A recording is complete when none is.
pub fn missing(end: &End, there: impl Fn(Uuid) -> u64) -> u64 {
    let of_stream = |name: &str| Uuid::parse_str(name).map_or(0, &there);
    end.streams.iter().fold(0, |sum: u64, stream| {
        sum.saturating_add(stream.batches.saturating_sub(of_stream(&stream.stream)))
    })
}

#[cfg(test)]
mod tests {
    use highwater_wire::v1::StreamCount;

    use super::*;

    #[test]
    fn what_one_stream_has_too_much_does_not_make_up_for_another() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let count = |stream: Uuid, batches| StreamCount {
            stream: stream.to_string(),
            batches,
        };
        let end = End {
            streams: vec![count(one, 3), count(two, 2)],
            ..End::default()
        };
        for (of_one, of_two, expected) in [(3, 2, 0), (9, 2, 0), (3, 0, 2), (5, 0, 2), (1, 1, 3)] {
            let there = |stream| if stream == one { of_one } else { of_two };
            assert_eq!(missing(&end, there), expected, "{of_one} {of_two}");
        }
        assert_eq!(announced(&end), 5);
        let torn = End {
            streams: vec![StreamCount {
                stream: "no uuid".to_owned(),
                batches: u64::MAX,
            }],
            ..End::default()
        };
        assert_eq!(missing(&torn, |_| 7), u64::MAX);
    }
}

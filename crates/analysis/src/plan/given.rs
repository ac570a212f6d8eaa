//! What a file gives back that others had left: garbage that waited for a collection, or room in the heap.
//!
//! In another job these others may not run before it, and then there is nothing to give back: a process does not come below the level at which it
//! stands before its first file. Only what a file gave back below that level is its own.

use super::File;

/// Where files gave back more than this share of what all retained, it is taken off those that left it. What is less stays with them: a job is
/// predicted too high by that much at most, since nobody knows whether it comes to be given back there.
pub(super) const LEAST_SHARE: f64 = 0.2;

/// Leaves a file what it gave back below the level before the first file, bytes. The rest is answered, and counts as needed by it: it ran in the room
/// of that.
pub(super) fn take_off(file: &mut File, below_bytes: i64) -> i64 {
    let own = file.retained_bytes.max(-below_bytes);
    let given = own - file.retained_bytes;
    file.retained_bytes = own;
    file.spike_bytes += given;
    given
}

/// Takes what was given back off the files that left it, the latest first: to them it was needed for a while.
pub(super) fn settle(files: &mut [File], given: &[(usize, i64)]) {
    let retained: i64 = files.iter().map(|file| file.retained_bytes.max(0)).sum();
    let all: i64 = given.iter().map(|(_, bytes)| bytes).sum();
    if all as f64 <= LEAST_SHARE * retained as f64 {
        return;
    }
    for (at, bytes) in given {
        let mut left = *bytes;
        for file in files.iter_mut().take(*at).rev() {
            let part = file.retained_bytes.clamp(0, left);
            file.spike_bytes = file.spike_bytes.max(file.retained_bytes);
            file.retained_bytes -= part;
            left -= part;
            if left == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(spike_bytes: i64, retained_bytes: i64) -> File {
        File {
            path: String::new(),
            spike_bytes,
            retained_bytes,
            duration_us: 0,
        }
    }

    fn told(files: &[File]) -> Vec<(i64, i64)> {
        let told = |file: &File| (file.spike_bytes, file.retained_bytes);
        files.iter().map(told).collect()
    }

    #[test]
    fn what_others_left_is_not_given_back_where_they_do_not_run() {
        let mut heir = file(3, -50);
        assert_eq!(take_off(&mut heir, 0), 50);
        assert_eq!(told(&[heir]), [(53, 0)]);
        // Of this 20 lay below where the process began.
        let mut own = file(3, -50);
        assert_eq!(take_off(&mut own, 20), 30);
        assert_eq!(told(&[own]), [(33, -20)]);
        let mut keeps = file(3, 2);
        assert_eq!(take_off(&mut keeps, 20), 0);
        assert_eq!(told(&[keeps]), [(3, 2)]);
    }

    #[test]
    fn much_that_was_given_back_is_taken_off_the_latest_that_left_it() {
        // Each leaves garbage, which the next but one collects.
        let mut files = [file(10, 5), file(60, 50), file(40, 40), file(90, 0)];
        settle(&mut files, &[(3, 80)]);
        assert_eq!(told(&files), [(10, 5), (60, 10), (40, 0), (90, 0)]);
        // More than was left is taken off nobody.
        settle(&mut files, &[(3, 900)]);
        assert_eq!(told(&files), [(10, 0), (60, 0), (40, 0), (90, 0)]);
    }

    #[test]
    fn little_that_was_given_back_stays_with_those_that_left_it() {
        let mut files = [file(60, 50), file(60, 50), file(20, 0)];
        let before = told(&files);
        settle(&mut files, &[(2, 20)]);
        assert_eq!(told(&files), before);
        settle(&mut files, &[(2, 21)]);
        assert_eq!(told(&files), [(60, 50), (60, 29), (20, 0)]);
    }
}

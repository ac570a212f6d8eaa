use std::fs;

use super::*;
use crate::procfs::Procfs;

#[test]
fn a_kill_is_followed_by_the_peak_of_each_cgroup_at_once() {
    let root = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let mounted = root.path().join("cg");
    write("proc/7/cgroup", "0::/a/b\n");
    write(
        "proc/7/mountinfo",
        &format!(
            "30 20 0:26 / {} rw - cgroup2 cgroup2 rw\n",
            mounted.display()
        ),
    );
    for folder in ["cg/a", "cg/a/b"] {
        write(&format!("{folder}/memory.current"), "1000\n");
        write(&format!("{folder}/memory.max"), "max\n");
        write(&format!("{folder}/memory.peak"), "2000\n");
        write(&format!("{folder}/memory.events"), "oom_kill 0\n");
    }
    let cgroups = Cgroups::of(&Procfs::new(root.path().join("proc")), 7).unwrap();
    let mut seconds = Seconds::new(Procfs::system().open_machine().unwrap(), cgroups);
    let mut peaks = |t_us| {
        let mut reading = SecondReading::default();
        seconds.read(t_us, &mut reading).unwrap();
        let peaks = reading.cgroups.iter().map(|(_, it)| it.peak_bytes);
        peaks.collect::<Vec<_>>()
    };
    assert_eq!(peaks(0), [Some(2000); 2]);
    // In the calm no limit is near, and a peak that is a little old does.
    assert_eq!(peaks(1_000_000), [None; 2]);
    write("cg/a/memory.events", "oom_kill 1\n");
    write("cg/a/b/memory.peak", "9000\n");
    assert_eq!(peaks(2_000_000), [Some(9000), Some(2000)]);
    assert_eq!(peaks(3_000_000), [None; 2]);
    // What one counts more is a kill, however many another counts less that was made anew.
    write("cg/a/memory.events", "oom_kill 0\n");
    write("cg/a/b/memory.events", "oom_kill 1\n");
    assert_eq!(peaks(4_000_000), [Some(9000), Some(2000)]);
    assert_eq!(peaks(5_000_000), [None; 2]);
}
